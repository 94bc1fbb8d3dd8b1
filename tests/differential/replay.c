/* replay.c - runs commands from standard input in the harness, without a server.
 *
 *   harness-replay <unix time in ms> <RESP version>
 *
 * A command is a count of words, then each word; a word and a reply are a length, then bytes. All
 * numbers are four bytes in the machine's order. */
#include "core/command.h"
#include "tests/unit/harness.h"

#include <stdio.h>
#include <stdlib.h>

enum { WORDS_MAX = 1024, WORD_MAX_BYTES = 1 << 20 };

HARNESS_COMMANDS(string_commands, generic_commands, stream_commands)

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
        struct slice reply = harness_run_argv(h, words, count);
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
