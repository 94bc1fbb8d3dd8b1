/* intset.c - see intset.h. */
#include "core/intset.h"

#include "core/mem.h"
#include <assert.h>
#include <endian.h>
#include <string.h>

struct intset {
    uint32_t width; /* little endian, as all of the block */
    uint32_t count;
    uint8_t bytes[];
};
static_assert(sizeof(struct intset) == INTSET_HEADER_BYTES, "the format's header");

static uint32_t width_of(const struct intset *is)
{
    return le32toh(is->width);
}

static uint32_t width_for(int64_t v)
{
    if (v >= INT16_MIN && v <= INT16_MAX) {
        return 2;
    }
    return v >= INT32_MIN && v <= INT32_MAX ? 4 : 8;
}

static inline int64_t load(const uint8_t *p, uint32_t width)
{
    if (width == 2) {
        uint16_t v;
        memcpy(&v, p, sizeof v);
        return (int16_t)le16toh(v);
    }
    if (width == 4) {
        uint32_t v;
        memcpy(&v, p, sizeof v);
        return (int32_t)le32toh(v);
    }
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return (int64_t)le64toh(v);
}

/* The low bytes of v: a shorter integer in two's complement is cut from a longer one. */
static inline void store(uint8_t *p, uint32_t width, int64_t v)
{
    const uint64_t wire = htole64((uint64_t)v);
    memcpy(p, &wire, width);
}

static struct intset *resize(struct intset *is, uint32_t width, uint32_t count)
{
    assert(count <= INTSET_MAX_COUNT);
    is = mem_realloc(is, sizeof *is + (size_t)width * count);
    is->width = htole32(width);
    is->count = htole32(count);
    return is;
}

struct intset *intset_new(void)
{
    return resize(NULL, 2, 0);
}

void intset_free(struct intset *is)
{
    mem_free(is);
}

struct intset *intset_from_bytes(const void *bytes, size_t len)
{
    struct intset *is = mem_alloc(len);
    memcpy(is, bytes, len);
    return is;
}

struct intset *intset_copy(const struct intset *is)
{
    return intset_from_bytes(is, intset_bytes(is));
}

bool intset_validate(const void *bytes, size_t len)
{
    uint32_t head[2];
    if (len < sizeof head) {
        return false;
    }
    memcpy(head, bytes, sizeof head);
    const uint32_t width = le32toh(head[0]), count = le32toh(head[1]);
    if ((width != 2 && width != 4 && width != 8) || count > INTSET_MAX_COUNT ||
        len != sizeof head + (size_t)width * count) {
        return false;
    }
    const uint8_t *p = (const uint8_t *)bytes + sizeof head;
    for (uint32_t i = 1; i < count; i++, p += width) {
        if (load(p, width) >= load(p + width, width)) {
            return false;
        }
    }
    return true;
}

uint32_t intset_count(const struct intset *is)
{
    return le32toh(is->count);
}

size_t intset_bytes(const struct intset *is)
{
    return sizeof *is + (size_t)width_of(is) * intset_count(is);
}

int64_t intset_at(const struct intset *is, uint32_t i)
{
    assert(i < intset_count(is));
    const uint32_t width = width_of(is);
    return load(is->bytes + (size_t)i * width, width);
}

/* The first place whose integer is not smaller than v. */
static uint32_t lower_bound(const struct intset *is, int64_t v)
{
    const uint32_t width = width_of(is);
    uint32_t from = 0, to = intset_count(is);
    if (to > 0 && load(is->bytes + (size_t)(to - 1) * width, width) < v) {
        return to; /* ascending insertion is common */
    }
    while (from < to) {
        const uint32_t middle = from + (to - from) / 2;
        if (load(is->bytes + (size_t)middle * width, width) < v) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from;
}

/* Whether v is there; *at is its place, or where it belongs. */
static bool find(const struct intset *is, int64_t v, uint32_t *at)
{
    *at = lower_bound(is, v);
    return *at < intset_count(is) && intset_at(is, *at) == v;
}

bool intset_has(const struct intset *is, int64_t v)
{
    uint32_t at;
    return width_for(v) <= width_of(is) && find(is, v, &at);
}

/* v needs more bytes than all that are there: it is either the least or the greatest. */
static struct intset *add_wider(struct intset *is, int64_t v)
{
    const uint32_t count = intset_count(is), before = width_of(is), width = width_for(v);
    const uint32_t shift = v < 0;
    is = resize(is, width, count + 1);
    for (uint32_t i = count; i-- > 0;) { /* from the end: places only move back */
        store(is->bytes + (size_t)(i + shift) * width, width,
              load(is->bytes + (size_t)i * before, before));
    }
    store(is->bytes + (size_t)(v < 0 ? 0 : count) * width, width, v);
    return is;
}

struct intset *intset_add(struct intset *is, int64_t v, bool *added)
{
    *added = true;
    if (width_for(v) > width_of(is)) {
        return add_wider(is, v);
    }
    uint32_t at;
    if (find(is, v, &at)) {
        *added = false;
        return is;
    }
    const uint32_t width = width_of(is), count = intset_count(is);
    is = resize(is, width, count + 1);
    uint8_t *p = is->bytes + (size_t)at * width;
    memmove(p + width, p, (size_t)(count - at) * width);
    store(p, width, v);
    return is;
}

struct intset *intset_remove(struct intset *is, int64_t v, bool *removed)
{
    uint32_t at;
    *removed = width_for(v) <= width_of(is) && find(is, v, &at);
    if (!*removed) {
        return is;
    }
    const uint32_t width = width_of(is), count = intset_count(is);
    uint8_t *p = is->bytes + (size_t)at * width;
    memmove(p, p + width, (size_t)(count - at - 1) * width);
    return resize(is, width, count - 1);
}
