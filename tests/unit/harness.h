/* harness.h - runs commands of core/ one after the other against a keyspace of their own, as a
 * server of one shard would, and shows the reply as RESP text.
 *
 * A test names the tables that it draws commands from:
 *
 *     HARNESS_COMMANDS(string_commands, generic_commands)
 *
 *     struct harness *h = harness_new();
 *     cr_assert_str_eq(harness_run(h, "SET", "k", "v", NULL), "+OK\r\n");
 *     cr_assert_str_eq(harness_run(h, "GET", "k", NULL), "$1\r\nv\r\n");
 *     harness_free(h);
 *
 * One harness per thread at a time (the slab is the thread's). Arity is checked as the server does;
 * ACL, maxmemory and the like are not there. */
#ifndef ASHLAR_TESTS_HARNESS_H
#define ASHLAR_TESTS_HARNESS_H

#include "core/command.h"

extern const struct command *const harness_tables[]; /* ended by NULL */
#define HARNESS_COMMANDS(...) const struct command *const harness_tables[] = {__VA_ARGS__, NULL};

struct harness {
    /* for the test to set between commands */
    int64_t now_ms;           /* unix time; begins at HARNESS_START_MS */
    int db;
    int resp;                 /* 2 or 3; begins at 2 */
    uint32_t call_flags;      /* enum call_flag */
    struct settings settings; /* begins with the defaults of redis.conf, 16 databases */

    /* what the last command did */
    uint64_t dirty;
    uint32_t nkeys;
    uint32_t errors;
    const uint32_t *marks;    /* with CALL_PART */
    uint32_t marks_count;

    struct keyspace *ks;
    struct slab *slab_;
    char *text_; /* last reply */
    size_t text_len_;
    uint32_t *marks_;
};

#define HARNESS_START_MS INT64_C(1700000000000)

struct harness *harness_new(void);
void harness_free(struct harness *h);

/* Words end with NULL. The text is terminated and good until the next run. */
const char *harness_run(struct harness *h, const char *word, ...) __attribute__((sentinel));
/* As above, for words and replies that hold any bytes. */
struct slice harness_run_argv(struct harness *h, const struct slice *argv, uint32_t argc);
/* One line, split at blanks: "SET k v EX 10". */
const char *harness_line(struct harness *h, const char *line);
/* The row of a command, subcommands by their second word; NULL when no table has it. */
const struct command *harness_find(struct slice name, const struct slice *sub);

#endif
