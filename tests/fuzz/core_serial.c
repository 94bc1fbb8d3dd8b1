/* core_serial.c - fuzzes serial_load_dump() with values of strangers.
 *
 * The input is a value (type byte and what follows); the footer is put behind it, so that inputs
 * get past the checksum. What is checked:
 *
 *   F1  The value is taken exactly when the plain decoder below takes it, and is the same.
 *       (Hence also that the bound on compressed lengths refuses nothing that is sound.)
 *       Collections have no plain decoder: for them F2 to F4 hold.
 *   F2  What was taken, dumped and loaded again, is the same value.
 *   F3  Without a good footer nothing is taken.
 *   F4  Nothing is left allocated.
 *
 * Built for libFuzzer (-DFUZZ_LIBFUZZER -fsanitize=fuzzer,address) it is its target; otherwise main
 * mutates the payloads that Redis wrote, in a bounded number of rounds from a fixed seed.
 * core_serial_canary.c builds it against a serial.c with a bug: that one must fail. */
#include "core/serial_type.h"
#include "core/keyspace.h"
#include "core/mem.h"
#include "core/slab.h"
#include "../unit/core_serial_payloads.h"
#include <stdio.h>
#include <stdlib.h>

enum {
    BULK_MAX = 1 << 20, /* proto-max-bulk-len of the fuzzer, small enough to be met */
    ROUNDS = 300000,
    INPUT_MAX = 512,    /* bytes of a mutated input */
    MUTATIONS_MAX = 4,
};

static const struct settings fuzz_settings = {.proto_max_bulk_len = BULK_MAX,
                                              .rdb_compression = true,
                                              .list_max_listpack_size = 3};

static const uint8_t *current;
static size_t current_len;

static void fail(const char *what)
{
    fprintf(stderr, "%s; input:", what);
    for (size_t i = 0; i < current_len; i++) {
        fprintf(stderr, " %02x", current[i]);
    }
    fprintf(stderr, "\n");
#ifdef FUZZ_LIBFUZZER
    abort();
#else
    exit(1);
#endif
}

/* --- the plain decoder (F1): slow, obvious, without shared code --- */

struct plain {
    bool good, is_number;
    int64_t number;
    uint8_t *bytes;
    size_t len;
};

/* Reads a length at *at; -1: cut or malformed, -2 - form: a special form. */
static int64_t plain_len(const uint8_t *p, size_t n, size_t *at)
{
    if (*at >= n) {
        return -1;
    }
    const uint8_t first = p[(*at)++];
    size_t more = 0;
    uint64_t v = first & 63;
    if (first >= 192) {
        return -2 - (int64_t)v;
    } else if (first >= 64 && first < 128) {
        more = 1;
    } else if (first == 128 || first == 129) {
        more = first == 128 ? 4 : 8;
        v = 0;
    } else if (first > 129) {
        return -1;
    }
    if (n - *at < more) {
        return -1;
    }
    while (more-- > 0) {
        v = v << 8 | p[(*at)++];
    }
    return v > INT64_MAX ? INT64_MAX : (int64_t)v;
}

static size_t plain_decompress(const uint8_t *p, size_t n, uint8_t *out, size_t cap)
{
    size_t at = 0, len = 0;
    while (at < n) {
        const unsigned control = p[at++];
        if (control < 32) {
            const size_t run = control + 1;
            if (n - at < run || cap - len < run) {
                return 0;
            }
            for (size_t i = 0; i < run; i++) {
                out[len++] = p[at++];
            }
            continue;
        }
        size_t run = control >> 5;
        if (run == 7) {
            if (at >= n) {
                return 0;
            }
            run += p[at++];
        }
        run += 2;
        if (at >= n) {
            return 0;
        }
        const size_t back = ((control & 31) << 8 | p[at++]) + 1;
        if (back > len || cap - len < run) {
            return 0;
        }
        for (size_t i = 0; i < run; i++, len++) {
            out[len] = out[len - back];
        }
    }
    return len;
}

static struct plain plain_decode(const uint8_t *p, size_t n)
{
    struct plain v = {0};
    size_t at = 1;
    if (n < 1 || p[0] != 0) {
        return v;
    }
    const int64_t len = plain_len(p, n, &at);
    if (len >= 0) {
        if ((uint64_t)len > n - at) {
            return v;
        }
        v.bytes = malloc((size_t)len + 1);
        memcpy(v.bytes, p + at, (size_t)len);
        v.len = (size_t)len;
        v.good = true;
    } else if (len >= -4 && len <= -2) { /* 8, 16, 32 bits */
        const int width = 1 << (-2 - len);
        if (n - at < (size_t)width) {
            return v;
        }
        uint32_t bits = 0;
        for (int i = 0; i < width; i++) {
            bits |= (uint32_t)p[at + (size_t)i] << (8 * i);
        }
        v.number = width == 1 ? (int8_t)bits : width == 2 ? (int16_t)bits : (int32_t)bits;
        v.is_number = v.good = true;
    } else if (len == -5) {
        const int64_t packed = plain_len(p, n, &at), unpacked = plain_len(p, n, &at);
        if (packed < 1 || unpacked < 1 || unpacked > BULK_MAX || (uint64_t)packed > n - at) {
            return v;
        }
        v.bytes = malloc((size_t)unpacked);
        v.len = plain_decompress(p + at, (size_t)packed, v.bytes, (size_t)unpacked);
        v.good = v.len == (size_t)unpacked;
    }
    return v;
}

/* --- one input --- */

static struct bytes sign(const uint8_t *data, size_t len)
{
    struct bytes out = {0};
    bytes_append(&out, data, len);
    bytes_append(&out, "\x0a\0", 2);
    const uint64_t crc = crc64_update(0, out.data, out.len);
    bytes_append(&out, &crc, sizeof crc);
    return out;
}

static bool same(const struct serial_loaded *a, const struct plain *b)
{
    if (b->is_number) {
        return a->encoding == ENC_INT && a->integer == b->number;
    }
    return a->encoding == ENC_BLOB && a->blob->len == b->len &&
           (b->len == 0 || memcmp(a->blob->data, b->bytes, b->len) == 0);
}

/* F2. A string of digits may come back as a number. */
static void check_round_trip(const struct serial_loaded *value)
{
    uint64_t room[sizeof(struct entry) / sizeof(uint64_t) + 1] = {0}; /* header and word */
    struct entry *e = (struct entry *)room;
    e->type = TYPE_STRING;
    e->encoding = value->encoding;
    if (value->encoding == ENC_INT) {
        entry_set_int(e, value->integer);
    } else {
        entry_set_object(e, value->blob);
    }
    struct bytes dump = {0};
    struct serial_loaded again;
    serial_dump(&dump, e, &fuzz_settings);
    if (serial_load_dump(slice_of(dump.data, dump.len), &fuzz_settings, &again) != SERIAL_OK) {
        fail("F2: what was dumped does not load");
    }
    char digits[24];
    struct slice text = value->blob ? slice_of(value->blob->data, value->blob->len)
                                    : slice_of(NULL, 0);
    bool equal;
    if (again.encoding == ENC_INT && value->encoding != ENC_INT) {
        const int n = snprintf(digits, sizeof digits, "%lld", (long long)again.integer);
        equal = slice_equal(text, slice_of(digits, (size_t)n));
    } else if (again.encoding == ENC_INT) {
        equal = again.integer == value->integer;
    } else {
        equal = value->blob && slice_equal(text, slice_of(again.blob->data, again.blob->len));
    }
    if (!equal) {
        fail("F2: another value after a round trip");
    }
    serial_loaded_free(&again);
    bytes_free(&dump);
}

/* F2 of collections, by their digests. */
static void check_collection(const struct serial_loaded *value)
{
    uint64_t room[sizeof(struct entry) / sizeof(uint64_t) + 1] = {0};
    struct entry *e = (struct entry *)room;
    uint8_t digest[20] = {0}, digest_again[20] = {0};
    e->type = value->type;
    e->encoding = value->encoding;
    entry_set_object(e, value->object);
    keyspace_digest_value(e, digest);
    struct bytes dump = {0};
    struct serial_loaded again;
    serial_dump(&dump, e, &fuzz_settings);
    if (serial_load_dump(slice_of(dump.data, dump.len), &fuzz_settings, &again) != SERIAL_OK) {
        fail("F2: a dumped collection does not load");
    }
    e->encoding = again.encoding;
    entry_set_object(e, again.object);
    keyspace_digest_value(e, digest_again);
    if (memcmp(digest, digest_again, sizeof digest) != 0) {
        fail("F2: another collection after a round trip");
    }
    serial_loaded_free(&again);
    bytes_free(&dump);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    current = data;
    current_len = len;
    slab_thread_init(); /* its own memory comes once */
    const int64_t before = mem_used_total();
    struct bytes payload = sign(data, len);
    struct serial_loaded value;
    struct plain expected = plain_decode(data, len);
    const enum serial_error error =
        serial_load_dump(slice_of(payload.data, payload.len), &fuzz_settings, &value);
    if (error == SERIAL_BAD_FOOTER) {
        fail("a good footer is refused");
    }
    const bool collection = len > 0 && data[0] != RDB_STRING;
    if (!collection && (error == SERIAL_OK) != expected.good) {
        fail(expected.good ? "F1: a sound value is refused" : "F1: a bad value is taken");
    }
    if (error == SERIAL_OK && collection) {
        check_collection(&value);
        serial_loaded_free(&value);
    } else if (error == SERIAL_OK) {
        if (!same(&value, &expected)) {
            fail("F1: another value than the plain decoder's");
        }
        check_round_trip(&value);
        serial_loaded_free(&value);
    }
    payload.data[payload.len - 1 - len % 10] ^= 1;
    if (serial_load_dump(slice_of(payload.data, payload.len), &fuzz_settings, &value) !=
        SERIAL_BAD_FOOTER) {
        fail("F3: a bad footer is taken");
    }
    bytes_free(&payload);
    free(expected.bytes);
    if (mem_used_total() != before) {
        fail("F4: memory is left allocated");
    }
    return 0;
}

/* --- a bounded run without libFuzzer --- */

#ifndef FUZZ_LIBFUZZER

/* Values of the other types, to be mutated like the strings. */
static const struct {
    const char *value;
    size_t len;
} collections[] = {
    {"\x12\x01\x02\x0f\x0f\0\0\0\x03\0\x81""a\x02\x05\x01\x81""b\x02\xff", 19},
    {"\x12\x02\x01\x03""big\x02\x09\x09\0\0\0\x01\0\x05\x01\xff", 18},
    {"\x01\x03\x01""a\xc0\x05\x02""bc", 9},
    {"\x0a\x13\x13\0\0\0\x0f\0\0\0\x03\0\0\x01""a\x03\xf4\x02\xfe\x80\xff", 21},
};
enum { COLLECTIONS = sizeof collections / sizeof collections[0] };

static uint64_t state;

static uint32_t pick(uint32_t below)
{
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)((state >> 33) % below);
}

static void mutate(uint8_t *data, size_t *len)
{
    static const uint8_t telling[] = {0, 1, 0x1f, 0x20, 0x3f, 0x40, 0x7f, 0x80, 0x81, 0xc0, 0xc1,
                                      0xc2, 0xc3, 0xc4, 0xe0, 0xff};
    const size_t at = *len ? pick((uint32_t)*len) : 0;
    switch (pick(6)) {
    case 0:
        if (*len) {
            data[at] ^= (uint8_t)(1 << pick(8));
        }
        break;
    case 1:
        if (*len) {
            data[at] = telling[pick(sizeof telling)];
        }
        break;
    case 2:
        if (*len) {
            data[at] = (uint8_t)(data[at] + pick(9) - 4);
        }
        break;
    case 3: /* cut */
        *len = at;
        break;
    case 4: /* take out */
        if (*len) {
            memmove(data + at, data + at + 1, *len - at - 1);
            --*len;
        }
        break;
    default: /* put in */
        if (*len < INPUT_MAX) {
            memmove(data + at + 1, data + at, *len - at);
            data[at] = telling[pick(sizeof telling)];
            ++*len;
        }
    }
}

int main(int argc, char **argv)
{
    static struct mem_counter counter;
    mem_thread_register(&counter);
    const long rounds = argc > 1 ? atol(argv[1]) : ROUNDS;
    state = argc > 2 ? strtoull(argv[2], NULL, 10) : 20260115;
    for (long round = 0; round < rounds; round++) {
        const struct serial_payload *seed = &serial_payloads[pick(SERIAL_PAYLOADS)];
        uint8_t data[INPUT_MAX + 1];
        size_t len = seed->payload_len - 10;
        memcpy(data, seed->payload, len);
        if (pick(4) == 0) {
            const uint32_t i = pick(COLLECTIONS);
            len = collections[i].len;
            memcpy(data, collections[i].value, len);
        }
        for (uint32_t n = pick(MUTATIONS_MAX + 1); n > 0; n--) {
            mutate(data, &len);
        }
        LLVMFuzzerTestOneInput(data, len);
    }
    return 0;
}

#endif
