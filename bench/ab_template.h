/* ab_template.h - command templates: what is sent, with the places that change with each request.
 *
 *   SET __key__ __data__ EX __expire__      is compiled to
 *
 *   literal  *5\r\n$3\r\nSET\r\n$16\r\nkey:
 *   number   12 digits, drawn from the key distribution
 *   literal  \r\n$32\r\n
 *   data     32 bytes
 *   literal  \r\n$2\r\nEX\r\n
 *   argument (of varying length: its parts are drawn first, then "$<length>\r\n" and the parts)
 *   literal  \r\n
 *
 * So a request costs a few short copies. What has a fixed length is laid into the literals together
 * with its "$<length>" header; only arguments whose length varies are put together piece by piece.
 *
 * Placeholders, anywhere in an argument, any number of times:
 *
 *   __key__            a key, by --key-format and the key distribution
 *   __data__           a value, by the value sizes
 *   __rand_int__       12 digits from 0 to the keyspace's size - 1, as in redis-benchmark: it stays
 *                      as it is when no keyspace was given (-r)
 *   __int__            a number of the same range without leading zeros
 *   __int:LOW:HIGH__   … from LOW to HIGH
 *   __seq__            0, 1, 2 … over all threads (each thread counts in steps)
 *   __float__          from 0 to 1 with 6 digits
 *   __expire__         seconds, by --expiry
 *   __time_ms__        the time of day in ms
 *   __tag__            a number below 16384, the same everywhere in one request: {__tag__} in the
 *                      keys of MSET puts them into one slot of a cluster
 *
 * Everything random about a request follows from one 64-bit seed and its sequence number, so that
 * it can be built a second time (redirects) and its key be told again (verification).
 *
 * Thread: a template is constant once compiled; any number of threads encode from it.
 */
#ifndef ASHLAR_BENCH_AB_TEMPLATE_H
#define ASHLAR_BENCH_AB_TEMPLATE_H

#include "bench/ab_random.h"
#include <stddef.h>

enum {
    AB_NAME_BYTES = 80,
    AB_ARGS_MAX = 1024,
    AB_VAR_PARTS_MAX = 16, /* of one argument of varying length */
    AB_RAND_DIGITS = 12,
};

/* What placeholders are drawn from; constant during a run. */
struct ab_space {
    struct ab_dist keys;
    char key_prefix[256], key_suffix[256];
    uint32_t key_digits;     /* zero-padded to so many, 0: not padded */
    bool key_sized;          /* keys have sizes of their own: padded to these */
    struct ab_size key_size; /* of the whole key */
    struct ab_size data;
    uint64_t rand_count;     /* of __rand_int__; 0: left as it is */
    uint64_t expire_low_s, expire_high_s;
    bool verify;             /* values are told from keys */
    uint64_t tag_seed;       /* of the key format, so that other formats have other values */
    uint64_t sequence_step;  /* keys that one request takes from AB_SEQUENTIAL */
};

struct ab_op;
struct ab_part;

struct ab_template {
    char name[AB_NAME_BYTES];
    uint32_t argc;
    struct ab_op *ops;
    struct ab_part *parts;
    char *literals;
    uint32_t op_count, part_count;
    uint32_t literal_bytes, literal_cap, op_cap, part_cap;
    size_t max_bytes;      /* of one encoded request */
    uint32_t key_arg;      /* which argument decides the slot; 0: none */
    bool inline_form;      /* sent as it stands, not as an array */
    bool checks_value;     /* replies are the value of its (only) key: GET */
    bool first_is_key;     /* the first placeholder is __key__ */
    bool is_get;           /* nulls are misses */
};

/* A request as it is remembered. */
struct ab_draw {
    uint64_t seed, sequence;
};

/* Splits a line into arguments as redis-cli does: blanks, 'single' and "double" quotes with
 * escapes. Returns the number or -1 for unbalanced quotes or too many; the strings and their
 * lengths are the caller's (ab_args_free). */
int ab_args_split(const char *line, char **args[], size_t *lens[]);
void ab_args_free(int argc, char **args, size_t *lens);

/* Compiles arguments for this space. err gets a text when false is returned. */
bool ab_template_compile(struct ab_template *t, const char *name, int argc, char *const *args,
                         const size_t *lens, const struct ab_space *space, char err[256]);
/* Bytes that are sent as they stand. */
void ab_template_raw(struct ab_template *t, const char *name, const char *bytes, size_t len);
void ab_template_free(struct ab_template *t);

/* Writes a request to `to`, which has room for max_bytes; returns its length. */
size_t ab_template_encode(const struct ab_template *t, const struct ab_space *space,
                          struct ab_draw draw, char *to);
/* For checks_value: the tag and length of the value that the request's key has. */
void ab_template_expected(const struct ab_template *t, const struct ab_space *space,
                          struct ab_draw draw, uint64_t *tag, uint32_t *len);
/* How many sequence numbers (__key__, __seq__) a request takes. */
uint64_t ab_template_sequences(const struct ab_template *t);
/* Which argument of a command decides its slot, 0: none. */
uint32_t ab_key_arg(int argc, char *const *args);
/* Finds argument number `arg` (from 0) of a request; false when it has none such. */
bool ab_request_arg(const char *request, size_t len, uint32_t arg, const char **out, size_t *out_len);

/* Sets the key format: "user:%d:name", "key:%012d". False: not one %d. */
bool ab_space_key_format(struct ab_space *space, const char *format);

#endif
