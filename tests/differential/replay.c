/* replay.c - runs commands from standard input in the harness, without a server.
 *
 *   harness-replay <unix time in ms> <RESP version>
 *
 * A command is a count of words, then each word; a word and a reply are a length, then bytes. All
 * numbers are four bytes in the machine's order. CONFIG SET with one of settings[] works, too. */
#include "core/command.h"
#include "tests/unit/harness.h"

#include <stdio.h>
#include <stdlib.h>

enum { WORDS_MAX = 1024, WORD_MAX_BYTES = 1 << 20 };

HARNESS_COMMANDS(string_commands, generic_commands, set_commands, sort_commands, list_commands,
                 hash_commands, zset_commands, bitmap_commands, hll_commands, geo_commands,
                 stream_commands)

static const struct {
    const char *name;
    size_t offset; /* of an int64_t in struct settings */
} settings[] = {
    {"hash-max-listpack-entries", offsetof(struct settings, hash_max_listpack_entries)},
    {"list-max-listpack-size", offsetof(struct settings, list_max_listpack_size)},
    {"list-compress-depth", offsetof(struct settings, list_compress_depth)},
};

/* False when the command is none of that. */
static bool config_set(struct harness *h, const struct slice *argv, uint32_t argc)
{
    if (argc != 4 || !slice_is(argv[0], "config")) {
        return false;
    }
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        if (slice_is(argv[2], settings[i].name)) {
            int64_t v = strtoll(argv[3].ptr, NULL, 10);
            memcpy((char *)&h->settings + settings[i].offset, &v, sizeof v);
            return true;
        }
    }
    return false;
}

static bool read_exactly(void *to, size_t len)
{
    return fread(to, 1, len, stdin) == len;
}

/* The words' bytes are allocated; false at the end of the input, or when it is none of ours. */
static bool read_command(struct slice *argv, uint32_t *argc)
{
    if (!read_exactly(argc, sizeof *argc) || *argc == 0 || *argc > WORDS_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < *argc; i++) {
        uint32_t len;
        if (!read_exactly(&len, sizeof len) || len > WORD_MAX_BYTES) {
            return false;
        }
        char *word = malloc((size_t)len + 1);
        argv[i] = slice_of(word, len);
        if (!word || !read_exactly(word, len)) {
            return false;
        }
        word[len] = '\0';
    }
    return true;
}

int main(int argc, char **argv)
{
    static struct slice words[WORDS_MAX];
    uint32_t count;
    if (argc != 3) {
        fprintf(stderr, "usage: %s <unix time in ms> <RESP version>\n", argv[0]);
        return 2;
    }
    struct harness *h = harness_new();
    h->now_ms = strtoll(argv[1], NULL, 10);
    h->resp = (int)strtol(argv[2], NULL, 10);
    while (read_command(words, &count)) {
        struct slice reply = config_set(h, words, count) ? slice_str("+OK\r\n")
                                                         : harness_run_argv(h, words, count);
        uint32_t len = (uint32_t)reply.len;
        fwrite(&len, sizeof len, 1, stdout);
        fwrite(reply.ptr, 1, reply.len, stdout);
        for (uint32_t i = 0; i < count; i++) {
            free((void *)words[i].ptr);
        }
    }
    harness_free(h);
    return 0;
}
