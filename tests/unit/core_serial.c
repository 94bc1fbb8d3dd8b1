/* core_serial.c - DUMP payloads: the bytes that Redis writes, round trips, and hostile ones. */
#include "core/serial_type.h"
#include "core/mem.h"
#include "core_serial_payloads.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static const struct settings settings = {
    .databases = 16, .proto_max_bulk_len = 512 << 20, .rdb_compression = true};
static const struct settings uncompressed = {
    .databases = 16, .proto_max_bulk_len = 512 << 20, .rdb_compression = false};

/* --- helpers --- */

/* An entry with an empty key, outside any keyspace. */
static struct entry *make_entry(enum value_encoding encoding, const void *value, size_t len)
{
    struct entry *e = calloc(1, sizeof *e + (len > 8 ? len : 8));
    e->type = TYPE_STRING;
    e->encoding = encoding;
    if (encoding == ENC_INLINE) {
        e->value_len = (uint16_t)len;
        if (len > 0) {
            memcpy(entry_inline_value(e), value, len);
        }
    } else if (encoding == ENC_BLOB) {
        entry_set_object(e, blob_new(value, len, len));
    }
    return e;
}

static void free_entry(struct entry *e)
{
    if (e->encoding == ENC_BLOB) {
        blob_release(entry_object(e));
    }
    free(e);
}

static struct bytes dump_string(enum value_encoding encoding, const char *value, size_t len,
                                const struct settings *s)
{
    struct entry *e = make_entry(encoding, value, len);
    struct bytes out = {0};
    serial_dump(&out, e, s);
    free_entry(e);
    return out;
}

static char *repeat(const struct serial_payload *p, size_t *len)
{
    *len = p->unit_len * p->times;
    char *value = malloc(*len + 1);
    for (unsigned i = 0; i < p->times; i++) {
        memcpy(value + i * p->unit_len, p->unit, p->unit_len);
    }
    return value;
}

/* A value with a good footer. */
static struct bytes sign(const void *body, size_t len, unsigned version)
{
    struct bytes out = {0};
    const uint8_t wire[2] = {(uint8_t)version, (uint8_t)(version >> 8)};
    bytes_append(&out, body, len);
    bytes_append(&out, wire, sizeof wire);
    const uint64_t crc = crc64_update(0, out.data, out.len);
    bytes_append(&out, &crc, sizeof crc);
    return out;
}

static enum serial_error load(struct bytes *payload, struct serial_loaded *out)
{
    return serial_load_dump(slice_of(payload->data, payload->len), &settings, out);
}

/* Signs, loads, lets go of whatever came. */
static enum serial_error try_body(const void *body, size_t len)
{
    struct bytes payload = sign(body, len, 10);
    struct serial_loaded value;
    const enum serial_error error = load(&payload, &value);
    if (error == SERIAL_OK) {
        serial_loaded_free(&value);
    }
    bytes_free(&payload);
    return error;
}

#define REFUSED(literal) cr_assert_eq(try_body(literal, sizeof literal - 1), SERIAL_BAD_DATA)

static void assert_loads(struct bytes *payload, const char *value, size_t len)
{
    struct serial_loaded loaded;
    cr_assert_eq(load(payload, &loaded), SERIAL_OK);
    cr_assert_eq(loaded.type, TYPE_STRING);
    if (loaded.encoding == ENC_INT) {
        char digits[24];
        const int n = snprintf(digits, sizeof digits, "%lld", (long long)loaded.integer);
        cr_assert((size_t)n == len && memcmp(digits, value, len) == 0);
    } else {
        cr_assert_eq(loaded.blob->len, len);
        cr_assert_eq(memcmp(loaded.blob->data, value, len), 0);
    }
    serial_loaded_free(&loaded);
}

/* --- CRC-64 --- */

Test(crc64, check_value)
{
    cr_assert_eq(crc64_update(0, "123456789", 9), 0xe9c6d914c4b8d9caULL);
    cr_assert_eq(crc64_update(0, "", 0), 0);
}

Test(crc64, any_cut_gives_the_same)
{
    uint8_t data[300];
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (uint8_t)(i * 31 + (i >> 3));
    }
    const uint64_t whole = crc64_update(0, data, sizeof data);
    uint64_t bytewise = 0;
    for (size_t i = 0; i < sizeof data; i++) {
        bytewise = crc64_update(bytewise, data + i, 1);
        const uint64_t cut = crc64_update(crc64_update(0, data, i), data + i, sizeof data - i);
        cr_assert_eq(cut, whole);
    }
    cr_assert_eq(bytewise, whole);
}

/* --- what Redis writes --- */

Test(serial, payloads_are_those_of_redis)
{
    for (int i = 0; i < SERIAL_PAYLOADS; i++) {
        const struct serial_payload *p = &serial_payloads[i];
        size_t len;
        char *value = repeat(p, &len);
        for (int inlined = 0; inlined < (len <= ENTRY_INLINE_MAX ? 2 : 1); inlined++) {
            struct bytes out =
                dump_string(inlined ? ENC_INLINE : ENC_BLOB, value, len, &settings);
            cr_assert_eq(out.len, p->payload_len, "payload %d", i);
            cr_assert_eq(memcmp(out.data, p->payload, out.len), 0, "payload %d", i);
            bytes_free(&out);
        }
        free(value);
    }
}

Test(serial, payloads_of_redis_load)
{
    for (int i = 0; i < SERIAL_PAYLOADS; i++) {
        const struct serial_payload *p = &serial_payloads[i];
        size_t len;
        char *value = repeat(p, &len);
        struct bytes payload = {0};
        bytes_append(&payload, p->payload, p->payload_len);
        assert_loads(&payload, value, len);
        bytes_free(&payload);
        free(value);
    }
}

Test(serial, integers)
{
    static const int64_t values[] = {
        0, 1, -1, 127, 128, -128, -129, 255, 256, 32767, 32768, -32768, -32769, 65536,
        INT32_MAX, INT32_MIN, (int64_t)INT32_MAX + 1, (int64_t)INT32_MIN - 1, INT64_MAX, INT64_MIN,
    };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char digits[24];
        const size_t len =
            (size_t)snprintf(digits, sizeof digits, "%lld", (long long)values[i]);
        struct entry *e = make_entry(ENC_INT, NULL, 0);
        entry_set_int(e, values[i]);
        struct bytes as_int = {0};
        serial_dump(&as_int, e, &settings);
        assert_loads(&as_int, digits, len);
        struct bytes as_text = dump_string(ENC_INLINE, digits, len, &settings);
        cr_assert(slice_equal(slice_of(as_int.data, as_int.len),
                              slice_of(as_text.data, as_text.len)));
        bytes_free(&as_int);
        bytes_free(&as_text);
        free_entry(e);
    }
}

Test(serial, round_trips_of_all_sizes)
{
    enum { LARGEST = 70000 }; /* past the 14-bit lengths */
    char *value = malloc(LARGEST);
    uint32_t state = 1;
    for (int i = 0; i < LARGEST; i++) { /* half noise, half runs */
        state = state * 1664525 + 1013904223;
        value[i] = i / 100 % 2 ? 'r' : (char)(state >> 24);
    }
    for (size_t len = 0; len <= LARGEST; len += len < 300 ? 1 : len / 3) {
        struct bytes packed = dump_string(ENC_BLOB, value, len, &settings);
        struct bytes plain = dump_string(ENC_BLOB, value, len, &uncompressed);
        assert_loads(&packed, value, len);
        assert_loads(&plain, value, len);
        cr_assert(packed.len <= plain.len);
        bytes_free(&packed);
        bytes_free(&plain);
    }
    free(value);
}

Test(serial, value_appends)
{
    struct entry *e = make_entry(ENC_INLINE, "abc", 3);
    struct bytes out = {0};
    bytes_append(&out, "xyz", 3);
    serial_value(&out, e, &settings);
    cr_assert(slice_equal(slice_of(out.data, out.len), slice_of("xyz\0\3abc", 8)));
    struct bytes two = {0};
    bytes_append(&two, "!", 1);
    serial_dump(&two, e, &settings); /* the checksum covers the dump alone */
    struct bytes one = dump_string(ENC_INLINE, "abc", 3, &settings);
    cr_assert(slice_equal(slice_of(two.data + 1, two.len - 1), slice_of(one.data, one.len)));
    bytes_free(&out);
    bytes_free(&one);
    bytes_free(&two);
    free_entry(e);
}

/* --- footers --- */

Test(serial, footer)
{
    struct serial_loaded value;
    for (unsigned version = 0; version < 300; version++) {
        struct bytes payload = sign("\0\1a", 3, version);
        const enum serial_error error = load(&payload, &value);
        cr_assert_eq(error, version <= 12 ? SERIAL_OK : SERIAL_BAD_FOOTER);
        if (error == SERIAL_OK) {
            serial_loaded_free(&value);
        }
        bytes_free(&payload);
    }
    struct bytes payload = sign("\0\1a", 3, 10);
    for (size_t len = 0; len < payload.len; len++) {
        struct bytes cut = {.data = payload.data, .len = len};
        cr_assert_eq(load(&cut, &value), SERIAL_BAD_FOOTER);
    }
    for (size_t i = 0; i < payload.len; i++) {
        payload.data[i] ^= 0x10;
        cr_assert_eq(load(&payload, &value), SERIAL_BAD_FOOTER);
        payload.data[i] ^= 0x10;
    }
    bytes_free(&payload);
}

/* --- hostile values --- */

Test(serial, types_that_are_not_known)
{
    cr_assert_eq(try_body("", 0), SERIAL_BAD_DATA);
    for (int type = 1; type < 256; type++) {
        const char body[] = {(char)type, 1, 'a'};
        cr_assert_eq(try_body(body, sizeof body), SERIAL_BAD_DATA);
    }
}

Test(serial, lengths_beyond_the_end)
{
    REFUSED("\0\2a");
    REFUSED("\0\x40\xffz");
    REFUSED("\0\x40");
    REFUSED("\0\x80\xff\xff\xff\xff");
    REFUSED("\0\x80\0\0\0");
    REFUSED("\0\x81\0\0\0\0\0\0\0\2a");
    REFUSED("\0\x81\xff\xff\xff\xff\xff\xff\xff\xff" "abc");
    REFUSED("\0\x81\x7f\xff\xff\xff\xff\xff\xff\xff" "abc");
    REFUSED("\0\x82\0\0\0\0\0\0\0\1a");
    REFUSED("\0\xbf\1");
}

Test(serial, special_forms)
{
    REFUSED("\0\xc0");
    REFUSED("\0\xc1\1");
    REFUSED("\0\xc2\1\2\3");
    for (int form = 4; form < 64; form++) {
        const char body[] = {0, (char)(0xc0 | form), 1, 1, 1, 1, 1, 1};
        cr_assert_eq(try_body(body, sizeof body), SERIAL_BAD_DATA);
    }
}

Test(serial, compressed)
{
    cr_assert_eq(try_body("\0\xc3\4\3\2abc", 8), SERIAL_OK);
    REFUSED("\0\xc3\4\4\2abc");                     /* claims more than there is */
    REFUSED("\0\xc3\4\2\2abc");                     /* claims less */
    REFUSED("\0\xc3\5\3\2abc");                     /* body is cut */
    REFUSED("\0\xc3\0\0");                          /* empty */
    REFUSED("\0\xc3\0\1");
    REFUSED("\0\xc3\1\x81\0\0\0\1\0\0\0\0" "a");    /* 4 GiB of one byte */
    REFUSED("\0\xc3\4\x80\x1f\xff\xff\xff\2abc");   /* 512 MiB of four */
    REFUSED("\0\xc3\xc0\1\3\2abc");                 /* lengths in special form */
    REFUSED("\0\xc3\4\xc0\3\2abc");
    REFUSED("\0\xc3\4\x0a\0a\xe0\0");               /* match cut off */
    REFUSED("\0\xc3\4\x05\0a\x20\7");               /* match before the start */
    REFUSED("\0\xc3\x81\xff\xff\xff\xff\xff\xff\xff\xff\3\2abc");
}

Test(serial, limit_of_strings)
{
    /* 100 bytes from a few, under a limit of 64 */
    char value[100];
    memset(value, 'a', sizeof value);
    struct bytes payload = dump_string(ENC_BLOB, value, sizeof value, &settings);
    const struct settings small = {.proto_max_bulk_len = 64, .rdb_compression = true};
    struct serial_loaded loaded;
    cr_assert_eq(serial_load_dump(slice_of(payload.data, payload.len), &small, &loaded),
                 SERIAL_BAD_DATA);
    bytes_free(&payload);
}

Test(serial, every_truncation_is_refused)
{
    for (int i = 0; i < SERIAL_PAYLOADS; i++) {
        const struct serial_payload *p = &serial_payloads[i];
        for (size_t len = 0; len < p->payload_len - 10; len++) {
            /* a copy of its own size, so that a sanitizer sees any step beyond it */
            cr_assert_eq(try_body(p->payload, len), SERIAL_BAD_DATA, "%d cut to %zu", i, len);
        }
    }
}

Test(serial, nothing_is_left_behind)
{
    const int64_t before = mem_used_total();
    for (int i = 0; i < SERIAL_PAYLOADS; i++) {
        cr_assert_eq(try_body(serial_payloads[i].payload, serial_payloads[i].payload_len - 10),
                     SERIAL_OK);
    }
    REFUSED("\0\xc3\4\4\2abc");
    cr_assert_eq(mem_used_total(), before);
}
