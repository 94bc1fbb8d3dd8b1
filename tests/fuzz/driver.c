/* driver.c - runs a fuzzer without libFuzzer; see driver.h. */
#include "fuzz/driver.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    INPUT_MAX = 4096,       /* bytes of a made input */
    FILE_MAX = 1024 * 1024, /* bytes of a given one */
    STEPS_MAX = 12,         /* seeds put together or mutations, each */
    OPTION_BYTES = 2,       /* at the start of an input: the fuzzer's options, any bytes */
    REPORT_MAX = 2048,
};

static const uint8_t *current;
static size_t current_len;

void fuzz_fail(const char *what)
{
    fprintf(stderr, "FAILED: %s\ninput of %zu bytes: \"", what, current_len);
    for (size_t i = 0; i < current_len && i < REPORT_MAX; i++) {
        const uint8_t c = current[i];
        if (c < ' ' || c > '~' || c == '"' || c == '\\') {
            fprintf(stderr, "\\%03o", c);
        } else {
            fputc(c, stderr);
        }
    }
    fputs("\"\n", stderr);
    exit(EXIT_FAILURE);
}

/* In memory of exactly its size, so that AddressSanitizer sees a read past the end. */
static void try_input(const uint8_t *data, size_t len)
{
    uint8_t *exact = malloc(len > 0 ? len : 1);
    if (exact == NULL) {
        fuzz_fail("out of memory");
    }
    memcpy(exact, data, len);
    current = exact;
    current_len = len;
    LLVMFuzzerTestOneInput(exact, len);
    free(exact);
}

static uint64_t random_state;

static uint64_t random_below(uint64_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state * 0x2545f4914f6cdd1du % n;
}

static void insert(uint8_t *input, size_t *len, size_t at, const void *bytes, size_t n)
{
    if (*len + n <= INPUT_MAX) {
        memmove(input + at + n, input + at, *len - at);
        memcpy(input + at, bytes, n);
        *len += n;
    }
}

static struct slice random_seed(void)
{
    static size_t n;
    while (fuzz_seeds[n].ptr != NULL) {
        n++;
    }
    return fuzz_seeds[random_below(n)];
}

static void mutate(uint8_t *input, size_t *len)
{
    size_t at = random_below(*len);
    struct slice seed = random_seed();
    switch (random_below(6)) {
    case 0:
        input[at] ^= (uint8_t)(1u << random_below(8));
        break;
    case 1:
        input[at] = (uint8_t)random_below(256);
        break;
    case 2: { /* cut something out */
        size_t n = 1 + random_below(*len - at < 8 ? *len - at : 8);
        memmove(input + at, input + at + n, *len - at - n);
        *len -= n;
        break;
    }
    case 3: { /* a piece of a seed */
        size_t from = random_below(seed.len);
        insert(input, len, at, seed.ptr + from, 1 + random_below(seed.len - from));
        break;
    }
    case 4: /* a character that some seed uses */
        insert(input, len, at, seed.ptr + random_below(seed.len), 1);
        break;
    default:
        *len = at + 1;
        break;
    }
}

static void run_random(uint64_t runs)
{
    static uint8_t input[INPUT_MAX];
    for (uint64_t i = 0; i < runs; i++) {
        size_t len = OPTION_BYTES;
        for (size_t k = 0; k < OPTION_BYTES; k++) {
            input[k] = (uint8_t)random_below(256);
        }
        for (uint64_t n = 1 + random_below(STEPS_MAX); n > 0; n--) {
            struct slice seed = random_seed();
            insert(input, &len, len, seed.ptr, seed.len);
        }
        /* Often none: many mutations fail early and leave the rest unseen. */
        for (uint64_t n = random_below(1 + random_below(STEPS_MAX)); n > 0 && len > 1; n--) {
            mutate(input, &len);
        }
        try_input(input, len);
    }
    printf("%llu runs\n", (unsigned long long)runs);
}

static int run_file(const char *name)
{
    static uint8_t input[FILE_MAX];
    FILE *f = strcmp(name, "-") == 0 ? stdin : fopen(name, "rb");
    if (f == NULL) {
        fprintf(stderr, "%s: %s\n", name, strerror(errno));
        return EXIT_FAILURE;
    }
    size_t len = fread(input, 1, sizeof input, f);
    if (f != stdin) {
        fclose(f);
    }
    try_input(input, len);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    uint64_t runs = 0, seed = 1;
    int failed = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--runs") == 0 && i + 1 < argc) {
            runs = strtoull(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
            seed = strtoull(argv[++i], NULL, 10);
        } else {
            failed |= run_file(argv[i]);
        }
    }
    random_state = seed * 0x9e3779b97f4a7c15u | 1;
    run_random(runs);
    return failed;
}
