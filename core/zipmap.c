/* zipmap.c - see zipmap.h. */
#include "core/zipmap.h"

#include <assert.h>

enum {
    HEADER_BYTES = 1,
    COUNT_UNKNOWN = 254, /* as many pairs or more */
    LEN_LONG = 0xFE,     /* the length is in the 4 bytes behind it */
    END = 0xFF,
};
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "lengths are read as they lie");

struct input {
    const uint8_t *at, *end; /* end: the last byte, which must be END */
};

static bool read_len(struct input *in, uint32_t *len)
{
    if (in->at >= in->end || *in->at == END) {
        return false;
    }
    *len = *in->at++;
    if (*len < LEN_LONG) {
        return true;
    }
    if (in->end - in->at < 4) {
        return false;
    }
    memcpy(len, in->at, 4);
    in->at += 4;
    return true;
}

/* A field, or a value, with what is unused behind it. */
static bool read_string(struct input *in, bool value, struct slice *s)
{
    uint32_t len;
    uint64_t unused = 0;
    if (!read_len(in, &len)) {
        return false;
    }
    if (value) {
        if (in->at >= in->end) {
            return false;
        }
        unused = *in->at++;
    }
    if ((uint64_t)(in->end - in->at) < len + unused) {
        return false;
    }
    *s = slice_of((const char *)in->at, len);
    in->at += len + unused;
    return true;
}

struct listpack *zipmap_to_listpack(const void *bytes, size_t len)
{
    const uint8_t *start = bytes;
    if (len < HEADER_BYTES + 1 || len > UINT32_MAX || start[len - 1] != END) {
        return NULL;
    }
    struct input in = {start + HEADER_BYTES, start + len - 1};
    struct listpack *lp = listpack_new(len);
    uint64_t strings = 0;
    bool sound = true;
    while (sound && (in.at < in.end || strings % 2 != 0)) {
        struct slice s;
        sound = read_string(&in, strings % 2 != 0, &s);
        struct listpack *more = sound ? listpack_append(lp, s) : NULL;
        sound = more != NULL;
        lp = more ? more : lp;
        strings++;
    }
    if (!sound || (start[0] < COUNT_UNKNOWN && strings != 2u * start[0])) {
        listpack_free(lp);
        return NULL;
    }
    return lp;
}
