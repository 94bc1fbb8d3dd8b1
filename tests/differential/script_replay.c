/* script_replay.c - replay.c for scripts: commands from standard input to a script_harness, replies
 * to standard output, in replay.c's format.
 *
 *   script-replay <unix time in ms> <RESP version> */
#include "tests/unit/script_harness.h"

#include <stdio.h>
#include <stdlib.h>

enum { WORDS_MAX = 1024, WORD_MAX_BYTES = 1 << 24 };

HARNESS_COMMANDS(string_commands, generic_commands, set_commands, sort_commands, list_commands,
                 hash_commands, zset_commands, bitmap_commands, hll_commands, geo_commands,
                 stream_commands)

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
    struct script_harness *sh = script_harness_new();
    sh->h->now_ms = strtoll(argv[1], NULL, 10);
    sh->reply_.resp = (uint8_t)strtol(argv[2], NULL, 10);
    while (read_command(words, &count)) {
        struct slice reply = script_harness_run(sh, words, count);
        uint32_t len = (uint32_t)reply.len;
        fwrite(&len, sizeof len, 1, stdout);
        fwrite(reply.ptr, 1, reply.len, stdout);
        for (uint32_t i = 0; i < count; i++) {
            free((void *)words[i].ptr);
        }
    }
    script_harness_free(sh);
    return 0;
}
