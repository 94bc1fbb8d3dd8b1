/* bench/ab_replay: lines of MONITOR. */
#include "bench/ab_replay.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct ab_replay replay;
static char err[300];

static bool read_text(const char *text)
{
    char path[] = "/tmp/bench_replay.XXXXXX";
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    bool ok = ab_replay_read(&replay, path, err);
    unlink(path);
    return ok;
}

Test(bench_replay, lines)
{
    cr_assert(read_text("OK\r\n"
                        "100.000001 [0 127.0.0.1:1] \"set\" \"a b\" \"\\x00\\xff\\r\\n\\\"\\\\\"\r\n"
                        "100.500001 [3 [::1]:2] \"eval\" \"x\" \"1\" \"k\"\n"
                        "100.500002 [3 lua] \"get\" \"k\"\n"
                        "100.600000 [0 unix:/tmp/s] \"PING\"\n"
                        "101.000001 [0 [::1]:3] \"GET\" \"]\"\n"
                        "101.000002 [0 127.0.0.1:1] \"subscribe\" \"c\"\n"), "%s", err);
    cr_assert(replay.count == 4 && replay.left_out == 2 && replay.clients == 4);
    cr_assert_eq(replay.items[0].len, strlen("*3\r\n$3\r\nset\r\n$3\r\na b\r\n$6\r\n......\r\n"));
    cr_assert(memcmp(replay.bytes, "*3\r\n$3\r\nset\r\n$3\r\na b\r\n$6\r\n\0\xff\r\n\"\\\r\n", 34) == 0);
    cr_assert(replay.items[0].at_ns == 0 && replay.items[1].at_ns == 500000000);
    cr_assert(replay.items[1].db == 3 && replay.items[1].key_arg == 3 && replay.items[2].key_arg == 0);
    cr_assert_neq(replay.items[1].client, replay.items[3].client);
    cr_assert_str_eq(replay.names[replay.items[3].name], "GET");
    ab_replay_free(&replay);
}

Test(bench_replay, more_names_than_places)
{
    static char text[20000];
    size_t at = 0;
    for (int i = 0; i < 2 * AB_REPLAY_NAMES_MAX; i++) {
        at += (size_t)sprintf(text + at, "1.0 [0 c] \"cmd%d\"\n", i);
    }
    cr_assert(read_text(text));
    cr_assert_eq(replay.name_count, AB_REPLAY_NAMES_MAX);
    cr_assert_str_eq(replay.names[AB_REPLAY_NAMES_MAX - 1], "OTHER");
    ab_replay_free(&replay);
}

Test(bench_replay, what_is_no_line)
{
    static const char *const bad[] = {"", "x\n", "1.0 [0 c]\n", "1.0 [0 c] \n", "1.0 [0 c] \"open\n", "1.0 c \"x\"\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert_not(read_text(bad[i]), "%s", bad[i]);
        ab_replay_free(&replay);
    }
}
