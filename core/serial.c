/* serial.c - values as the bytes of an RDB file. See serial.h for the payload and serial_type.h
 * for the pieces (and the rules S1 and S2 for what strangers send).
 *
 *   DUMP     00 05 h e l l o   0a 00   xx xx xx xx xx xx xx xx
 *            │  └ string       │       └ CRC-64 of all before it
 *            └ RDB_STRING      └ version 10
 *
 * A string that is a number of up to 32 bits is written as one, a string of more than 20 bytes is
 * compressed where that saves at least four bytes: byte for byte what Redis 7.0 writes, which
 * compresses with the same library.
 */
#include "core/serial_type.h"
#include "core/mem.h"
#include "core/num.h"
#include "core/pause.h"
#include "core/stream_serial.h"
#include <assert.h>
#include <endian.h>
#include <liblzf/lzf.h>

enum {
    BYTES_CAP_MIN = 64,
    CHECKSUM_STEP_BYTES = 16384,
    DUMP_VERSION = 10,      /* holds every type of Redis 7.0 */
    DUMP_VERSION_7_4 = 12,  /* hashes with fields that expire */
    DUMP_VERSION_MAX = 12,  /* read */
    DUMP_FOOTER_BYTES = 10,
    LEN_BYTES_MAX = 9,
    NUMBER_CHARS_MAX = 11,  /* "-2147483648" */
    LZF_LEN_MIN = 21,       /* shorter strings are not worth trying */
    LZF_GAIN_MIN = 4,
};

enum { /* the two high bits of a length, and what follows when both are set */
    LEN_14_BITS = 0x40,
    LEN_32_BITS = 0x80,
    LEN_64_BITS = 0x81,
    LEN_SPECIAL = 0xc0,
    SPECIAL_INT8 = 0,
    SPECIAL_INT16 = 1,
    SPECIAL_INT32 = 2,
    SPECIAL_LZF = 3,
};

static uint64_t checksum(const char *data, size_t len)
{
    uint64_t crc = 0;
    while (len > 0) {
        const size_t step = len < CHECKSUM_STEP_BYTES ? len : CHECKSUM_STEP_BYTES;
        pause_point_bytes(4 * step);
        crc = crc64_update(crc, data, step);
        data += step;
        len -= step;
    }
    return crc;
}

/* --- a growing buffer --- */

static size_t bytes_cap_for(const struct bytes *b, size_t more)
{
    const size_t needed = b->len + more;
    size_t cap = b->cap < BYTES_CAP_MIN ? BYTES_CAP_MIN : b->cap;
    while (cap < needed) {
        cap += cap / 2;
    }
    return cap;
}

static void bytes_reserve(struct bytes *b, size_t more)
{
    if (b->cap - b->len < more) {
        const size_t cap = bytes_cap_for(b, more);
        b->data = pause_realloc(b->data, b->len, cap);
        b->cap = cap;
    }
}

static bool bytes_try_reserve(struct bytes *b, size_t more)
{
    if (b->cap - b->len >= more) {
        return true;
    }
    const size_t cap = bytes_cap_for(b, more);
    char *data = mem_try_realloc(b->data, cap);
    if (!data) {
        return false;
    }
    b->data = data;
    b->cap = cap;
    return true;
}

void bytes_append(struct bytes *b, const void *data, size_t len)
{
    if (len == 0) {
        return;
    }
    bytes_reserve(b, len);
    pause_copy(b->data + b->len, data, len);
    b->len += len;
}

void bytes_free(struct bytes *b)
{
    pause_free(b->data);
    *b = (struct bytes){0};
}

/* --- writing --- */

void serial__write_byte(struct bytes *out, uint8_t byte)
{
    bytes_append(out, &byte, 1);
}

static size_t format_len(uint8_t out[LEN_BYTES_MAX], uint64_t len)
{
    if (len < 1 << 6) {
        out[0] = (uint8_t)len;
        return 1;
    }
    if (len < 1 << 14) {
        out[0] = (uint8_t)(LEN_14_BITS | len >> 8);
        out[1] = (uint8_t)len;
        return 2;
    }
    if (len <= UINT32_MAX) {
        const uint32_t wire = htobe32((uint32_t)len);
        out[0] = LEN_32_BITS;
        memcpy(out + 1, &wire, sizeof wire);
        return 1 + sizeof wire;
    }
    const uint64_t wire = htobe64(len);
    out[0] = LEN_64_BITS;
    memcpy(out + 1, &wire, sizeof wire);
    return 1 + sizeof wire;
}

void serial__write_len(struct bytes *out, uint64_t len)
{
    uint8_t buf[LEN_BYTES_MAX];
    bytes_append(out, buf, format_len(buf, len));
}

/* The special forms of numbers; false when v needs more than 32 bits. */
static bool write_number(struct bytes *out, int64_t v)
{
    uint8_t buf[5];
    const uint32_t wire = htole32((uint32_t)v);
    memcpy(buf + 1, &wire, sizeof wire);
    if (v >= INT8_MIN && v <= INT8_MAX) {
        buf[0] = LEN_SPECIAL | SPECIAL_INT8;
        bytes_append(out, buf, 2);
    } else if (v >= INT16_MIN && v <= INT16_MAX) {
        buf[0] = LEN_SPECIAL | SPECIAL_INT16;
        bytes_append(out, buf, 3);
    } else if (v >= INT32_MIN && v <= INT32_MAX) {
        buf[0] = LEN_SPECIAL | SPECIAL_INT32;
        bytes_append(out, buf, 5);
    } else {
        return false;
    }
    return true;
}

static void write_plain(struct bytes *out, struct slice s)
{
    serial__write_len(out, s.len);
    bytes_append(out, s.ptr, s.len);
}

/* False when compression does not pay (or memory is short): out is as before. */
static bool write_compressed(struct bytes *out, struct slice s)
{
    const size_t header_max = 1 + 2 * LEN_BYTES_MAX;
    if (s.len > UINT32_MAX || !bytes_try_reserve(out, header_max + s.len)) {
        return false;
    }
    /* Compressed behind room for the longest header, then moved up to the real one. */
    char *body = out->data + out->len + header_max;
    const unsigned body_len =
        lzf_compress(s.ptr, (unsigned)s.len, body, (unsigned)(s.len - LZF_GAIN_MIN));
    if (body_len == 0) {
        return false;
    }
    uint8_t header[1 + 2 * LEN_BYTES_MAX];
    header[0] = LEN_SPECIAL | SPECIAL_LZF;
    size_t header_len = 1;
    header_len += format_len(header + header_len, body_len);
    header_len += format_len(header + header_len, s.len);
    assert(header_len <= header_max);
    memcpy(out->data + out->len, header, header_len);
    memmove(out->data + out->len + header_len, body, body_len);
    out->len += header_len + body_len;
    return true;
}

void serial__write_int(struct bytes *out, int64_t v)
{
    if (!write_number(out, v)) {
        char digits[NUM_INT_CHARS];
        write_plain(out, slice_of(digits, num_format_int(digits, v)));
    }
}

void serial__write_string(struct bytes *out, struct slice s, const struct settings *settings)
{
    int64_t v;
    if (s.len <= NUMBER_CHARS_MAX && num_parse_int(s.ptr, s.len, &v) && write_number(out, v)) {
        return;
    }
    if (settings->rdb_compression && s.len >= LZF_LEN_MIN && write_compressed(out, s)) {
        return;
    }
    write_plain(out, s);
}

/* --- reading --- */

const uint8_t *serial__read_bytes(struct serial_reader *r, uint64_t n)
{
    assert(r->at <= r->end); /* S2 */
    if ((uint64_t)(r->end - r->at) < n) {
        return NULL;
    }
    const uint8_t *p = r->at;
    r->at += n;
    return p;
}

/* A length, or the number of a special form in its place. */
static bool read_len(struct serial_reader *r, uint64_t *len, bool *special)
{
    const uint8_t *start = r->at, *p = serial__read_bytes(r, 1);
    if (!p) {
        return false;
    }
    *special = (p[0] & 0xc0) == LEN_SPECIAL;
    if (*special || p[0] < LEN_14_BITS) {
        *len = p[0] & 0x3f;
        return true;
    }
    if (p[0] < LEN_32_BITS) {
        const uint8_t *low = serial__read_bytes(r, 1);
        if (low) {
            *len = (uint64_t)(p[0] & 0x3f) << 8 | low[0];
            return true;
        }
    } else if (p[0] == LEN_32_BITS) {
        uint32_t wire;
        const uint8_t *q = serial__read_bytes(r, sizeof wire);
        if (q) {
            memcpy(&wire, q, sizeof wire);
            *len = be32toh(wire);
            return true;
        }
    } else if (p[0] == LEN_64_BITS) {
        uint64_t wire;
        const uint8_t *q = serial__read_bytes(r, sizeof wire);
        if (q) {
            memcpy(&wire, q, sizeof wire);
            *len = be64toh(wire);
            return true;
        }
    }
    r->at = start;
    return false;
}

bool serial__read_len(struct serial_reader *r, uint64_t *len)
{
    const uint8_t *start = r->at;
    bool special;
    if (read_len(r, len, &special) && !special) {
        return true;
    }
    r->at = start;
    return false;
}

static struct blob *read_plain(struct serial_reader *r, uint64_t len)
{
    const uint8_t *p = serial__read_bytes(r, len);
    return p ? blob_try_new(p, len, len) : NULL; /* S1: p is there in full */
}

static struct blob *read_compressed(struct serial_reader *r)
{
    uint64_t body_len, len;
    if (!serial__read_len(r, &body_len) || !serial__read_len(r, &len)) {
        return NULL;
    }
    const uint8_t *body = serial__read_bytes(r, body_len);
    if (!body || body_len == 0 || len == 0 || body_len > UINT32_MAX || len > UINT32_MAX ||
        len > (uint64_t)r->settings->proto_max_bulk_len ||
        len > body_len * SERIAL_LZF_RATIO_MAX) { /* S1 */
        return NULL;
    }
    struct blob *b = blob_try_new(NULL, len, len);
    if (b && lzf_decompress(body, (unsigned)body_len, b->data, (unsigned)len) != len) {
        blob_release(b);
        b = NULL;
    }
    return b;
}

static bool read_number(struct serial_reader *r, uint64_t form, int64_t *number)
{
    const uint8_t *p = serial__read_bytes(r, (uint64_t)1 << form);
    if (!p) {
        return false;
    }
    if (form == SPECIAL_INT8) {
        *number = (int8_t)p[0];
    } else if (form == SPECIAL_INT16) {
        *number = (int16_t)(p[0] | p[1] << 8);
    } else {
        uint32_t wire;
        memcpy(&wire, p, sizeof wire);
        *number = (int32_t)le32toh(wire);
    }
    return true;
}

bool serial__read_string(struct serial_reader *r, struct blob **blob, int64_t *number)
{
    const uint8_t *start = r->at;
    uint64_t len;
    bool special, ok = false;
    *blob = NULL;
    if (read_len(r, &len, &special)) {
        if (!special) {
            ok = (*blob = read_plain(r, len)) != NULL;
        } else if (len == SPECIAL_LZF) {
            ok = (*blob = read_compressed(r)) != NULL;
        } else if (len <= SPECIAL_INT32) {
            ok = read_number(r, len, number);
        }
    }
    if (!ok) {
        r->at = start;
    }
    return ok;
}

/* --- strings --- */

static void save_string(struct bytes *out, const struct entry *e, const struct settings *settings)
{
    serial__write_byte(out, RDB_STRING);
    if (e->encoding == ENC_INT) {
        serial__write_int(out, entry_int(e));
        return;
    }
    char buf[NUM_INT_CHARS];
    serial__write_string(out, entry_string(e, buf), settings);
}

static bool load_string(struct serial_reader *r, enum serial_rdb_type type,
                        struct serial_loaded *out)
{
    struct blob *blob;
    int64_t number = 0;
    if (!serial__read_string(r, &blob, &number)) {
        return false;
    }
    *out = (struct serial_loaded){.type = TYPE_STRING,
                                  .encoding = blob ? ENC_BLOB : ENC_INT,
                                  .integer = number,
                                  .blob = blob};
    return true;
}

/* --- the types; a NULL is one that this server does not know --- */

static serial__save *const savers[TYPE_COUNT] = {
    [TYPE_STRING] = save_string,
    [TYPE_SET] = serial__save_set,
    [TYPE_LIST] = serial__save_list,
    [TYPE_HASH] = serial__save_hash,
    [TYPE_ZSET] = serial__save_zset,
    [TYPE_STREAM] = stream__save,
};

static serial__load *const loaders[RDB_TYPE_BYTES] = {
    [RDB_STRING] = load_string,
    [RDB_SET] = serial__load_set,
    [RDB_SET_INTSET] = serial__load_set_intset,
    [RDB_SET_LISTPACK] = serial__load_set_listpack,
    [RDB_LIST] = serial__load_list,
    [RDB_LIST_ZIPLIST] = serial__load_list,
    [RDB_LIST_QUICKLIST] = serial__load_list,
    [RDB_LIST_QUICKLIST_2] = serial__load_list,
    [RDB_HASH] = serial__load_hash,
    [RDB_HASH_LISTPACK] = serial__load_hash,
    [RDB_HASH_ZIPMAP] = serial__load_hash,
    [RDB_HASH_ZIPLIST] = serial__load_hash,
    [RDB_HASH_METADATA] = serial__load_hash,
    [RDB_HASH_LISTPACK_EX] = serial__load_hash,
    [RDB_ZSET] = serial__load_zset,
    [RDB_ZSET_2] = serial__load_zset,
    [RDB_ZSET_LISTPACK] = serial__load_zset_listpack,
    [RDB_ZSET_ZIPLIST] = serial__load_zset_listpack,
    [RDB_STREAM_LISTPACKS] = stream__load,
    [RDB_STREAM_LISTPACKS_2] = stream__load,
    [RDB_STREAM_LISTPACKS_3] = stream__load,
};

void serial_value(struct bytes *out, const struct entry *e, const struct settings *settings)
{
    assert(e->type < TYPE_COUNT && savers[e->type]);
    savers[e->type](out, e, settings);
}

/* Version and checksum of what was appended from start on. */
static void write_footer(struct bytes *out, size_t start, uint16_t version)
{
    const uint16_t wire_version = htole16(version);
    bytes_append(out, &wire_version, sizeof wire_version);
    const uint64_t crc = htole64(checksum(out->data + start, out->len - start));
    bytes_append(out, &crc, sizeof crc);
}

void serial_dump(struct bytes *out, const struct entry *e, const struct settings *settings)
{
    const size_t start = out->len;
    serial_value(out, e, settings);
    const uint8_t type = (uint8_t)out->data[start];
    write_footer(out, start, type >= RDB_HASH_METADATA ? DUMP_VERSION_7_4 : DUMP_VERSION);
}

void serial__write_footer(struct bytes *out, size_t start)
{
    write_footer(out, start, DUMP_VERSION);
}

bool serial__footer_is_good(struct slice payload, bool any_checksum, int *version)
{
    if (payload.len < DUMP_FOOTER_BYTES) {
        return false;
    }
    const char *footer = payload.ptr + payload.len - DUMP_FOOTER_BYTES;
    uint16_t wire_version;
    uint64_t wire_crc;
    memcpy(&wire_version, footer, sizeof wire_version);
    memcpy(&wire_crc, footer + sizeof wire_version, sizeof wire_crc);
    *version = le16toh(wire_version);
    const size_t len = payload.len - sizeof wire_crc;
    return *version <= DUMP_VERSION_MAX &&
           (any_checksum || checksum(payload.ptr, len) == le64toh(wire_crc));
}

enum serial_error serial_load_dump(struct slice payload, const struct settings *settings,
                                   struct serial_loaded *out)
{
    struct serial_reader r = {.settings = settings};
    if (!serial__footer_is_good(payload, settings->skip_dump_checksum, &r.version)) {
        return SERIAL_BAD_FOOTER;
    }
    r.at = (const uint8_t *)payload.ptr;
    r.end = r.at + payload.len - DUMP_FOOTER_BYTES;
    const uint8_t *type = serial__read_bytes(&r, 1);
    if (!type || *type >= RDB_TYPE_BYTES || !loaders[*type] || !loaders[*type](&r, *type, out)) {
        return SERIAL_BAD_DATA;
    }
    return SERIAL_OK; /* bytes left over do no harm: Redis takes them too */
}

void serial_loaded_free(struct serial_loaded *value)
{
    if (value->blob) {
        blob_release(value->blob);
    }
    if (value->object) {
        entry_value_ops(value->type, value->encoding)->free(value->object);
    }
    *value = (struct serial_loaded){0};
}
