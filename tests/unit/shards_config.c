/* The configuration: defaults, setting, texts, files, command line, rewriting. */
#include "shards/config_table.h"
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char err[CONFIG_ERR_BYTES];

static const char *get(const struct config *c, const char *name)
{
    const int row = config_find(slice_str(name));
    cr_assert(row >= 0, "unknown directive %s", name);
    return c->text[row];
}

static bool set(struct config *c, const char *name, const char *value)
{
    err[0] = '\0';
    return config_set(c, slice_str(name), slice_str(value), err);
}

static void check_set(struct config *c, const char *name, const char *value, const char *text)
{
    cr_assert(set(c, name, value), "%s %s: %s", name, value, err);
    cr_assert_str_eq(get(c, name), text);
}

static void check_refused(struct config *c, const char *name, const char *value, const char *why)
{
    char before[512];
    snprintf(before, sizeof(before), "%s", get(c, name));
    cr_assert_not(set(c, name, value), "%s %s is accepted", name, value);
    cr_assert_str_eq(err, why);
    cr_assert_str_eq(get(c, name), before);
}

static struct config *load(const char *lines)
{
    struct config *c = config_new();
    err[0] = '\0';
    if (!config_load(c, NULL, false, lines, err)) {
        config_free(c);
        return NULL;
    }
    return c;
}

Test(config, defaults)
{
    struct config *c = config_new();
    cr_assert_eq(c->port, 6379);
    cr_assert_eq(c->core.databases, 16);
    cr_assert(c->core.active_expire);
    cr_assert(c->protected_mode);
    cr_assert_null(c->requirepass.ptr);
    cr_assert_null(c->unixsocket);
    cr_assert_str_eq(c->logfile, "");
    cr_assert_eq(c->bind_count, 2);
    cr_assert_str_eq(c->bind[1], "-::*");
    cr_assert_eq(c->output_limit[CLIENT_PUBSUB].soft_bytes, 8388608);
    cr_assert_eq(c->latency_tracking_percentiles_count, 3);
    cr_assert_float_eq(c->latency_tracking_percentiles[2], 99.9, 1e-9);
    cr_assert_eq(c->core.list_max_listpack_size, -2);
    cr_assert_eq(c->shards, 0);
    cr_assert_str_eq(get(c, "dir"), c->dir);
    config_free(c);
}

Test(config, table_is_consistent)
{
    for (int i = 0; i < config__row_count(); i++) {
        const struct config_row *row = &config__rows[i];
        cr_assert_eq(config_find(slice_str(row->name)), i, "%s is there twice", row->name);
        if (row->alias != NULL) {
            cr_assert_eq(config_find(slice_str(row->alias)), i, "%s is there twice", row->alias);
        }
        cr_assert(strlen(row->name) < CONFIG_NAME_MAX);
        cr_assert_eq(row->type == CONFIG_ENUM, row->values != NULL, "%s", row->name);
        cr_assert_eq(row->type == CONFIG_SPECIAL, row->special != NULL, "%s", row->name);
    }
}

Test(config, integers)
{
    struct config *c = config_new();
    check_set(c, "maxmemory", "1gb", "1073741824");
    cr_assert_eq(c->core.maxmemory, 1073741824);
    check_set(c, "maxmemory", "10k", "10000");
    check_refused(c, "maxmemory", "abc", "argument must be a memory value");
    check_refused(c, "maxmemory", "-1", "argument must be a memory value");
    check_set(c, "maxmemory-clients", "5%", "5%");
    cr_assert_eq(c->maxmemory_clients, -5);
    check_refused(c, "maxmemory-clients", "101%",
                  "percentage argument must be less or equal to 100");
    check_refused(c, "maxmemory-clients", "x", "argument must be a memory or percent value");
    check_refused(c, "timeout", "-1", "argument must be between 0 and 2147483647 inclusive");
    check_refused(c, "timeout", "1x", "argument couldn't be parsed into an integer");
    check_refused(c, "maxclients", "0", "argument must be between 1 and 4294967295 inclusive");
    check_set(c, "unixsocketperm", "700", "700");
    cr_assert_eq(c->unixsocketperm, 0700);
    check_refused(c, "unixsocketperm", "999", "argument couldn't be parsed as an octal number");
    check_refused(c, "unixsocketperm", "1777", "argument must be between 0 and 777 inclusive");
    check_set(c, "hz", "100000", "500");
    check_set(c, "hz", "0", "1");
    check_set(c, "lua-time-limit", "7", "7");
    cr_assert_str_eq(get(c, "busy-reply-threshold"), "7");
    check_set(c, "hash-max-ziplist-entries", "9", "9");
    cr_assert_eq(c->core.hash_max_listpack_entries, 9);
    check_set(c, "shards", "4", "4");
    check_set(c, "shards", "auto", "auto");
    check_set(c, "shard-threads", "4", "4");
    check_set(c, "shard-threads", "auto", "auto");
    check_refused(c, "shard-threads", "0", "argument must be 'auto' or between 1 and 256 inclusive");
    check_refused(c, "shards", "0", "argument must be 'auto' or between 1 and 256 inclusive");
    config_free(c);
}

Test(config, words)
{
    struct config *c = config_new();
    check_set(c, "protected-mode", "NO", "no");
    cr_assert_not(c->protected_mode);
    check_refused(c, "protected-mode", "maybe", "argument must be 'yes' or 'no'");
    check_set(c, "maxmemory-policy", "AllKeys-LFU", "allkeys-lfu");
    cr_assert(settings_use_lfu(&c->core));
    check_refused(c, "maxmemory-policy", "x",
                  "argument(s) must be one of the following: volatile-lru, volatile-lfu, "
                  "volatile-random, volatile-ttl, allkeys-lru, allkeys-lfu, allkeys-random, "
                  "noeviction");
    check_set(c, "shutdown-on-sigterm", "force now", "now force");
    check_set(c, "shutdown-on-sigterm", "default", "default");
    check_refused(c, "shutdown-on-sigterm", "save nosave",
                  "shutdown options SAVE and NOSAVE can't be used simultaneously");
    check_set(c, "oom-score-adj", "relative", "yes");
    check_set(c, "requirepass", "secret", "secret");
    cr_assert(slice_equal(c->requirepass, slice_str("secret")));
    check_set(c, "requirepass", "", "");
    cr_assert_null(c->requirepass.ptr);
    check_refused(c, "dbfilename", "a/b", "dbfilename can't be a path, just a filename");
    cr_assert_not(config_set(c, slice_str("dbfilename"), slice_of("a\0b", 3), err));
    cr_assert(config_is_sensitive(slice_str("RequirePass")));
    cr_assert_not(config_is_sensitive(slice_str("port")));
    config_free(c);
}

Test(config, lists)
{
    struct config *c = config_new();
    check_set(c, "save", "60 1 10 5", "60 1 10 5");
    check_set(c, "save", "", "");
    check_refused(c, "save", "60", "Invalid save parameters");
    check_refused(c, "save", "0 1", "Invalid save parameters");
    check_set(c, "client-output-buffer-limit", "slave 1gb 1mb 5 normal 1 2 3",
              "normal 1 2 3 slave 1073741824 1048576 5 pubsub 33554432 8388608 60");
    check_refused(c, "client-output-buffer-limit", "master 1 1 1",
                  "Invalid client class specified in buffer limit configuration.");
    check_refused(c, "client-output-buffer-limit", "normal 1 1",
                  "Wrong number of arguments in buffer limit configuration.");
    check_refused(c, "client-output-buffer-limit", "normal 1 x 1",
                  "Error in hard, soft or soft_seconds setting in buffer limit configuration.");
    check_set(c, "notify-keyspace-events", "KEA", "AKE");
    check_set(c, "notify-keyspace-events", "Kxg", "gxK");
    check_set(c, "notify-keyspace-events", "", "");
    cr_assert_eq(c->core.notify_keyspace_events, 0);
    check_refused(c, "notify-keyspace-events", "Q",
                  "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.");
    check_set(c, "latency-tracking-info-percentiles", "50 99.99 100", "50 99.99 100");
    check_set(c, "latency-tracking-info-percentiles", "", "");
    check_refused(c, "latency-tracking-info-percentiles", "101",
                  "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]");
    check_set(c, "oom-score-adj-values", "1 2 3", "1 2 3");
    check_refused(c, "oom-score-adj-values", "1 2", "wrong number of arguments");
    config_free(c);
}

Test(config, copies_are_independent)
{
    struct config *a = load("requirepass one\nbind 127.0.0.1\nrename-command KEYS \"\"");
    cr_assert_not_null(a, "%s", err);
    struct config *b = config_copy(a);
    check_set(b, "requirepass", "two", "two");
    check_set(b, "bind", "10.0.0.1 -::1", "10.0.0.1 -::1");
    cr_assert(slice_equal(a->requirepass, slice_str("one")));
    cr_assert_str_eq(a->bind[0], "127.0.0.1");
    config_free(a);
    cr_assert(slice_equal(b->requirepass, slice_str("two")));
    cr_assert_str_eq(b->bind[1], "-::1");
    cr_assert_eq(b->rename_count, 1);
    cr_assert_str_eq(b->renames[0].from, "KEYS");
    cr_assert_str_eq(b->dir, get(b, "dir"));
    config_free(b);
}

Test(config, splits_like_inline_commands)
{
    int argc;
    char **argv = config__split("  a \"b c\\x41\\n\" 'd \\' e' f\"g\" ", &argc);
    cr_assert_not_null(argv);
    cr_assert_eq(argc, 4);
    cr_assert_str_eq(argv[0], "a");
    cr_assert_str_eq(argv[1], "b cA\n");
    cr_assert_str_eq(argv[2], "d ' e");
    cr_assert_str_eq(argv[3], "fg");
    free(argv);
    cr_assert_null(config__split("a \"b", &argc));
    cr_assert_null(config__split("a \"b\"c", &argc));
    cr_assert_null(config__split("'", &argc));
    argv = config__split("", &argc);
    cr_assert_eq(argc, 0);
    free(argv);
}

Test(config, quoting_round_trips)
{
    const char *odd = "a\"b\\c\n\t\a\b\r \x01\xff'z";
    struct config_text t = {0};
    config__append_quoted(&t, odd, strlen(odd));
    int argc;
    char **argv = config__split(t.data, &argc);
    cr_assert_eq(argc, 1);
    cr_assert_str_eq(argv[0], odd);
    free(argv);
    free(t.data);
}

Test(config, reads_lines)
{
    struct config *c = load("# comment\n\n  PORT 1234 \r\nsave 10 1\nsave 20 2\n"
                            "client-output-buffer-limit normal 1 2 3\n"
                            "list-max-ziplist-entries 5\nslave-read-only no\n");
    cr_assert_not_null(c, "%s", err);
    cr_assert_eq(c->port, 1234);
    cr_assert_str_eq(get(c, "save"), "10 1 20 2");
    cr_assert_str_eq(get(c, "replica-read-only"), "no");
    config_free(c);

    c = load("save 10 1\nsave \"\"\nsave 30 3");
    cr_assert_str_eq(get(c, "save"), "30 3");
    config_free(c);
}

static void check_load_error(const char *lines, const char *expected)
{
    cr_assert_null(load(lines), "accepted: %s", lines);
    cr_assert(strstr(err, expected) != NULL, "%s", err);
}

Test(config, refuses_bad_lines)
{
    check_load_error("port 1\nfoo bar\n",
                     "\n*** FATAL CONFIG FILE ERROR (Ashlar " ASHLAR_VERSION ") ***\n"
                     "Reading the configuration file, at line 2\n>>> 'foo bar'\n"
                     "Bad directive or wrong number of arguments\n");
    check_load_error("port 1 2", "wrong number of arguments");
    check_load_error("port \"1", "Unbalanced quotes in configuration line");
    check_load_error("include /nonexistent/file", "can't open config file '/nonexistent/file'");
    check_load_error("user default on", "ACL users are not available");
    check_load_error("loadmodule /x.so", "modules are not available");
    check_load_error("cluster-enabled yes\nreplicaof a 1", "not allowed in cluster mode");
    check_load_error("logfile /nonexistent/log", "Can't open the log file: No such file");
    struct config *c = load("include /nonexistent/*.conf");
    cr_assert_not_null(c, "%s", err);
    config_free(c);
}

static void check_args(const char *expected, bool expected_stdin, int argc, char **argv)
{
    bool from_stdin;
    char *lines = config_lines_of_args(argc, argv, &from_stdin);
    cr_assert_str_eq(lines, expected);
    cr_assert_eq(from_stdin, expected_stdin);
    free(lines);
}
#define ARGS(expected, in, ...)                                                                    \
    do {                                                                                           \
        char *args_[] = {__VA_ARGS__};                                                             \
        check_args(expected, in, (int)(sizeof(args_) / sizeof(args_[0])), args_);                  \
    } while (0)

Test(config, command_line)
{
    ARGS("port \"6380\" \nsave \"60\" \"1\" ", false, "--port", "6380", "--save", "60", "1");
    ARGS("port 6380 \nbind \"a\" \"b\" ", false, "--port 6380", "--bind", "a", "b");
    ARGS("save \"\" ", false, "--save", "");
    ARGS("save \"\"\nport \"1\" ", false, "--save", "--port", "1");
    ARGS("save \"\"", false, "--save");
    ARGS("list-max-listpack-size \"-2\" ", false, "--list-max-listpack-size", "-2");
    ARGS("requirepass \"--odd\" \nport \"1\" ", false, "--requirepass", "--odd", "--port", "1");
    ARGS("port \"1\" ", true, "-", "--port", "1");
    ARGS("port \"1\" ", true, "--port", "1", "-");
    ARGS("", true, "-");

    struct config *c = load("save \"60 1\" \nbind \"a b\" \nshutdown-on-sigint \"now force\" ");
    cr_assert_not_null(c, "%s", err);
    cr_assert_str_eq(get(c, "save"), "60 1");
    cr_assert_eq(c->bind_count, 2);
    cr_assert_str_eq(get(c, "shutdown-on-sigint"), "now force");
    config_free(c);
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    cr_assert_not_null(f);
    fputs(text, f);
    fclose(f);
}

static char folder[64];

static void make_folder(void)
{
    strcpy(folder, "/tmp/ashlar-config-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(chdir(folder), 0);
}

static void remove_folder(void)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
}

Test(config, includes, .init = make_folder, .fini = remove_folder)
{
    write_file("main.conf", "port 1\ninclude part-*.conf\ntimeout 5\ndir sub\n");
    write_file("part-a.conf", "port 2\nmaxmemory 1mb");
    write_file("part-b.conf", "maxmemory 2mb\n");
    cr_assert_eq(mkdir("sub", 0755), 0);
    struct config *c = config_new();
    cr_assert(config_load(c, "main.conf", false, "timeout 6", err), "%s", err);
    cr_assert_eq(c->port, 2);
    cr_assert_eq(c->core.maxmemory, 2097152);
    cr_assert_eq(c->timeout_s, 6);
    char expected[128];
    snprintf(expected, sizeof(expected), "%s/main.conf", folder);
    cr_assert_str_eq(c->file, expected);
    snprintf(expected, sizeof(expected), "%s/sub", folder);
    cr_assert_str_eq(c->dir, expected);
    config_free(c);
    cr_assert_eq(chdir(folder), 0);

    write_file("loop.conf", "include loop.conf\n");
    c = config_new();
    cr_assert_not(config_load(c, "loop.conf", false, NULL, err));
    cr_assert(strstr(err, "nested too deeply") != NULL, "%s", err);
    config_free(c);
}

Test(config, rewrites, .init = make_folder, .fini = remove_folder)
{
    write_file("c.conf", "# head\nport 7000\n\nsave 100 1\nsave 200 2\n# middle\n"
                         "slave-priority 5\nmaxmemory 1mb\nmaxmemory 2mb\nrequirepass x\n"
                         "include none-*.conf\nlogfile \"\"\n# tail");
    struct config *c = config_new();
    cr_assert(config_load(c, "c.conf", false, NULL, err), "%s", err);
    check_set(c, "save", "300 3", "300 3");
    check_set(c, "maxmemory", "3gb", "3221225472");
    check_set(c, "requirepass", "", "");
    check_set(c, "masterauth", "a b\"c", "a b\"c");
    check_set(c, "client-output-buffer-limit", "pubsub 1mb 5 7",
              "normal 0 0 0 slave 268435456 67108864 60 pubsub 1048576 5 7");
    cr_assert_eq(config_rewrite(c, false), 0);

    size_t len;
    char *text = config__read_file("c.conf", &len);
    char expected[1024];
    snprintf(expected, sizeof(expected),
             "# head\nport 7000\n\nsave 300 3\n\n# middle\nreplica-priority 5\nmaxmemory 3gb\n\n"
             "include none-*.conf\nlogfile \"\"\n# tail\n# Generated by CONFIG REWRITE\n"
             "client-output-buffer-limit pubsub 1mb 5 7\ndir \"%s\"\nmasterauth \"a b\\\"c\"\n",
             folder);
    cr_assert_str_eq(text, expected);
    free(text);

    /* What was written reads back as the same configuration, and rewriting changes nothing. */
    struct config *again = config_new();
    cr_assert(config_load(again, "c.conf", false, NULL, err), "%s", err);
    for (int i = 0; i < config__row_count(); i++) {
        cr_assert_str_eq(again->text[i], c->text[i]);
    }
    cr_assert_eq(config_rewrite(again, false), 0);
    text = config__read_file("c.conf", &len);
    cr_assert_str_eq(text, expected);
    free(text);
    config_free(again);
    config_free(c);
}

/* Passwords may hold zero bytes; the file keeps them. */
Test(config, binary_password)
{
    const struct slice password = {"a\0b", 3};
    write_file("p.conf", "requirepass \"x\\x00y\"\n");
    struct config *c = config_new();
    cr_assert(config_load(c, "p.conf", false, NULL, err), "%s", err);
    cr_assert(slice_equal(c->requirepass, (struct slice){"x\0y", 3}));
    cr_assert(config_set(c, slice_str("requirepass"), password, err));
    struct config *copy = config_copy(c);
    cr_assert(slice_equal(copy->requirepass, password));
    cr_assert_eq(config_rewrite(copy, false), 0);

    struct config *again = config_new();
    cr_assert(config_load(again, "p.conf", false, NULL, err), "%s", err);
    cr_assert(slice_equal(again->requirepass, password));
    cr_assert_not(config_set(c, slice_str("logfile"), password, err));
    config_free(again);
    config_free(copy);
    config_free(c);
}

/* Written out in full, the defaults read back as themselves. */
Test(config, rewrite_all)
{
    write_file("all.conf", "");
    struct config *c = config_new(), *again = config_new();
    cr_assert(config_load(c, "all.conf", false, NULL, err), "%s", err);
    cr_assert_eq(config_rewrite(c, true), 0);
    cr_assert(config_load(again, "all.conf", false, NULL, err), "%s", err);
    for (int i = 0; i < config__row_count(); i++) {
        cr_assert_str_eq(again->text[i], c->text[i]);
    }
    config_free(again);
    config_free(c);
}

/* Any bytes as a value: refused with a reason and without a trace, or accepted with a text that
 * means the same again. */
Test(config, random_values)
{
    static const char alphabet[] = "0123456789-+. kmgbKMG%yesnoauthlrw/\\\"'{}\t\x01\xff"
                                   "normal slave pubsub 1 60";
    struct config *c = config_new();
    uint64_t state = 12345;
    int accepted = 0;
    for (int i = 0; i < 60000; i++) {
        char value[24], first[2048];
        state = state * 6364136223846793005u + 1442695040888963407u;
        const int row = (int)((state >> 33) % (unsigned)config__row_count());
        const size_t len = (state >> 13) % sizeof(value);
        for (size_t j = 0; j < len; j++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            value[j] = alphabet[(state >> 33) % (sizeof(alphabet) - 1)];
        }
        const struct slice name = slice_str(config__rows[row].name);
        snprintf(first, sizeof(first), "%s", c->text[row]);
        err[0] = '\0';
        if (!config_set(c, name, slice_of(value, len), err)) {
            cr_assert(err[0] != '\0', "%s: no reason", name.ptr);
            cr_assert_str_eq(c->text[row], first);
            continue;
        }
        accepted++;
        snprintf(first, sizeof(first), "%s", c->text[row]);
        cr_assert(config_set(c, name, slice_str(first), err), "%s %s: %s", name.ptr, first, err);
        cr_assert_str_eq(c->text[row], first);
    }
    cr_assert_gt(accepted, 1000);
    config_free(c);
}

/* Any line: no crash, and what is split and quoted again splits into the same words. */
Test(config, random_lines)
{
    static const char alphabet[] = "ab \t\"'\\xn41\x01\xff";
    uint64_t state = 777;
    for (int i = 0; i < 50000; i++) {
        char line[40];
        size_t len = 0;
        state = state * 6364136223846793005u + 1442695040888963407u;
        for (size_t n = (state >> 40) % (sizeof(line) - 1); len < n; len++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            line[len] = alphabet[(state >> 33) % (sizeof(alphabet) - 1)];
        }
        line[len] = '\0';
        int argc, again;
        char **argv = config__split(line, &argc);
        if (argv == NULL) {
            continue;
        }
        struct config_text t = {0};
        for (int j = 0; j < argc; j++) {
            config__append_quoted(&t, argv[j], strlen(argv[j]));
            config__append_str(&t, " ");
        }
        char **second = config__split(t.data != NULL ? t.data : "", &again);
        cr_assert_not_null(second);
        cr_assert_eq(argc, again);
        for (int j = 0; j < argc; j++) {
            cr_assert_str_eq(argv[j], second[j]);
        }
        free(t.data);
        free(argv);
        free(second);
    }
}
