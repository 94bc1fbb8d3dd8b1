/* stream_node.c - see stream_node.h. */
#include "core/stream_node.h"

#include "core/mem.h"
#include "core/slab.h"

enum {
    ELEMENT_EXTRA_MAX = 10, /* bytes that an element takes beyond its own, at most */
    INT_BYTES_MAX = 10,     /* of a number, with its length behind */
    DIGITS_MAX = 20,        /* "-9223372036854775808" */
};

/* --- memory --- */

static struct stream_node *block_new(size_t cap)
{
    const size_t bytes = sizeof(struct stream_node) + cap;
    assert(cap <= UINT32_MAX);
    struct stream_node *n = bytes <= SLAB_MAX_BYTES ? slab_alloc(bytes) : mem_alloc(bytes);
    n->cap = (uint32_t)cap;
    return n;
}

void snode_free(struct stream_node *n)
{
    const size_t bytes = sizeof *n + n->cap;
    if (bytes <= SLAB_MAX_BYTES) {
        slab_free(n, bytes);
    } else {
        mem_free(n);
    }
}

size_t snode_memory(const struct stream_node *n)
{
    const size_t bytes = sizeof *n + n->cap;
    return bytes <= SLAB_MAX_BYTES ? slab_size(bytes) : bytes;
}

/* All that slab_alloc gives for so many bytes of a node's content. */
static size_t whole_block(size_t content)
{
    const size_t bytes = sizeof(struct stream_node) + content;
    return (bytes <= SLAB_MAX_BYTES ? slab_size(bytes) : bytes) - sizeof(struct stream_node);
}

static struct stream_node *move_to(struct stream_node *n, size_t cap)
{
    struct stream_node *to = block_new(cap);
    memcpy(to->lp, n->lp, snode_total(n));
    snode_free(n);
    return to;
}

/* Room for more bytes behind what is there. Grows by doubling, up to room_max for as long as that
 * is enough: nodes end up there. */
static struct stream_node *reserve(struct stream_node *n, size_t more, size_t room_max)
{
    const size_t needed = snode_total(n) + more;
    assert(needed <= UINT32_MAX);
    if (needed <= n->cap) {
        return n;
    }
    size_t cap = (size_t)n->cap * 2;
    if (cap > room_max) {
        cap = room_max;
    }
    return move_to(n, whole_block(cap < needed ? needed : cap));
}

struct stream_node *snode_seal(struct stream_node *n)
{
    const size_t cap = whole_block(snode_total(n));
    return cap < n->cap ? move_to(n, cap) : n;
}

struct stream_node *snode_copy(const struct stream_node *n)
{
    struct stream_node *to = block_new(whole_block(snode_total(n)));
    memcpy(to->lp, n->lp, snode_total(n));
    return to;
}

struct stream_node *snode_from_bytes(const uint8_t *lp, size_t len)
{
    struct stream_node *n = block_new(whole_block(len));
    memcpy(n->lp, lp, len);
    return n;
}

/* --- reading --- */

int64_t selem_int_wide(const uint8_t *p)
{
    const uint8_t b = p[0];
    if ((b & 0xe0) == 0xc0) {
        const int64_t v = (b & 0x1f) << 8 | p[1];
        return v < 1 << 12 ? v : v - (1 << 13);
    }
    const size_t bytes = selem_body(p) - 1;
    uint64_t wire = 0;
    assert(b > 0xf0 && bytes <= 8); /* N1 */
    memcpy(&wire, p + 1, bytes);
    const unsigned unused_bits = 64 - 8 * (unsigned)bytes;
    return (int64_t)(le64toh(wire) << unused_bits) >> unused_bits;
}

/* The element before p. */
static const uint8_t *element_prev(const uint8_t *p)
{
    size_t body = 0;
    unsigned shift = 0;
    do { /* the last byte is the lowest; the high bit says that there are more */
        p--;
        body |= (size_t)(*p & 0x7f) << shift;
        shift += 7;
    } while ((*p & 0x80) && shift < 35);
    return p - body;
}

int64_t snode_deleted(const struct stream_node *n)
{
    return selem_int(selem_next(n->lp + NODE_HEADER_BYTES));
}

const uint8_t *snode_fields(const struct stream_node *n, int64_t *fields)
{
    const uint8_t *p = selem_next(selem_next(n->lp + NODE_HEADER_BYTES));
    *fields = selem_int(p);
    return selem_next(p);
}

const uint8_t *snode_first(const struct stream_node *n)
{
    int64_t fields;
    const uint8_t *p = snode_fields(n, &fields);
    for (int64_t i = 0; i <= fields; i++) { /* and the 0 */
        p = selem_next(p);
    }
    return p;
}

/* The entry whose last element is this one. */
static const uint8_t *entry_of(const uint8_t *pieces_at)
{
    int64_t pieces = selem_int(pieces_at);
    const uint8_t *p = pieces_at;
    if (pieces == 0) {
        return NULL; /* the master's end */
    }
    while (pieces-- > 0) {
        p = element_prev(p);
    }
    return p;
}

const uint8_t *snode_last(const struct stream_node *n)
{
    return entry_of(element_prev(snode_end(n)));
}

const uint8_t *snode_before(const struct stream_node *n, const uint8_t *entry)
{
    assert(entry > n->lp + NODE_HEADER_BYTES);
    return entry_of(element_prev(entry));
}

void snode_entry_read(struct stream_id node_id, int64_t master_fields, const uint8_t *p,
                      struct snode_entry *e)
{
    e->at = p;
    const int64_t flags = selem_int(p);
    p = selem_next(p);
    e->id.ms = node_id.ms + (uint64_t)selem_int(p);
    p = selem_next(p);
    e->id.seq = node_id.seq + (uint64_t)selem_int(p);
    p = selem_next(p);
    e->deleted = flags & NODE_DELETED;
    e->same_fields = flags & NODE_SAME_FIELDS;
    e->fields = master_fields;
    if (!e->same_fields) {
        e->fields = selem_int(p);
        p = selem_next(p);
    }
    e->values = p;
}

const uint8_t *snode_entry_end(const struct snode_entry *e)
{
    const uint8_t *p = e->values;
    const int64_t elements = e->same_fields ? e->fields : 2 * e->fields;
    for (int64_t i = 0; i <= elements; i++) { /* and the pieces */
        p = selem_next(p);
    }
    return p;
}

/* --- writing --- */

static uint8_t *write_backlen(uint8_t *p, size_t body)
{
    const size_t bytes = selem_backlen_bytes(body);
    for (size_t i = bytes; i-- > 0;) {
        *p++ = (uint8_t)((body >> (7 * i) & 0x7f) | (i + 1 < bytes ? 0x80 : 0));
    }
    return p;
}

static uint8_t *write_int(uint8_t *p, int64_t v)
{
    if (v >= 0 && v < 128) {
        p[0] = (uint8_t)v;
        p[1] = 1;
        return p + 2;
    }
    if (v >= -4096 && v < 4096) {
        p[0] = (uint8_t)(0xc0 | ((v & 0x1fff) >> 8));
        p[1] = (uint8_t)v;
        p[2] = 2;
        return p + 3;
    }
    const bool in16 = v >= INT16_MIN && v <= INT16_MAX, in24 = v >= -(1 << 23) && v < 1 << 23,
               in32 = v >= INT32_MIN && v <= INT32_MAX;
    const size_t bytes = in16 ? 2 : in24 ? 3 : in32 ? 4 : 8;
    const uint64_t wire = htole64((uint64_t)v);
    p[0] = bytes == 8 ? 0xf4 : (uint8_t)(0xf1 + bytes - 2);
    memcpy(p + 1, &wire, bytes);
    p[1 + bytes] = (uint8_t)(1 + bytes);
    return p + 2 + bytes;
}

static uint8_t *write_slice(uint8_t *p, struct slice s)
{
    int64_t v;
    if (s.len > 0 && s.len <= DIGITS_MAX && (uint8_t)s.ptr[0] <= '9' &&
        num_parse_int(s.ptr, s.len, &v)) {
        return write_int(p, v);
    }
    uint8_t *start = p;
    if (s.len < 64) {
        *p++ = (uint8_t)(0x80 | s.len);
    } else if (s.len < 4096) {
        *p++ = (uint8_t)(0xe0 | s.len >> 8);
        *p++ = (uint8_t)s.len;
    } else {
        const uint32_t wire = htole32((uint32_t)s.len);
        *p++ = 0xf0;
        memcpy(p, &wire, sizeof wire);
        p += sizeof wire;
    }
    if (s.len > 0) {
        memcpy(p, s.ptr, s.len);
    }
    p += s.len;
    return write_backlen(p, (size_t)(p - start));
}

static void set_total(struct stream_node *n, const uint8_t *end)
{
    const size_t total = (size_t)(end - n->lp) + 1;
    assert(total <= n->cap); /* N2 */
    n->lp[total - 1] = NODE_EOF;
    const uint32_t wire = htole32((uint32_t)total);
    memcpy(n->lp, &wire, sizeof wire);
}

static void add_elements(struct stream_node *n, uint64_t more)
{
    uint16_t wire;
    memcpy(&wire, n->lp + 4, sizeof wire);
    const uint64_t sum = le16toh(wire) + more;
    const bool unknown = le16toh(wire) == NODE_ELEMENTS_MAX || sum >= NODE_ELEMENTS_MAX;
    wire = htole16(unknown ? NODE_ELEMENTS_MAX : (uint16_t)sum);
    memcpy(n->lp + 4, &wire, sizeof wire);
}

/* Puts another number in the place of the element at this offset. */
static struct stream_node *replace_int(struct stream_node *n, size_t offset, int64_t v)
{
    uint8_t fresh[INT_BYTES_MAX];
    const size_t bytes = (size_t)(write_int(fresh, v) - fresh);
    const size_t old = (size_t)(selem_next(n->lp + offset) - n->lp) - offset;
    if (bytes != old) {
        if (bytes > old) {
            n = reserve(n, bytes - old, SIZE_MAX / 4);
        }
        const uint8_t *end = snode_end(n);
        uint8_t *at = n->lp + offset;
        memmove(at + bytes, at + old, (size_t)(end - (at + old)));
        set_total(n, end + bytes - old);
    }
    memcpy(n->lp + offset, fresh, bytes);
    return n;
}

struct stream_node *snode_recount(struct stream_node *n, int64_t count, int64_t deleted)
{
    n = replace_int(n, NODE_HEADER_BYTES, count);
    const size_t second = (size_t)(selem_next(n->lp + NODE_HEADER_BYTES) - n->lp);
    return replace_int(n, second, deleted);
}

struct stream_node *snode_mark_deleted(struct stream_node *n, size_t offset)
{
    return replace_int(n, offset, selem_int(n->lp + offset) | NODE_DELETED);
}

/* Room that an entry needs at most: its bytes, and of every piece the encoding. */
static size_t entry_bytes_max(const struct slice *pairs, int64_t fields)
{
    size_t bytes = 0;
    for (int64_t i = 0; i < 2 * fields; i++) {
        bytes += pairs[i].len + ELEMENT_EXTRA_MAX;
    }
    return bytes + 5 * INT_BYTES_MAX;
}

static bool has_fields_of_master(const struct stream_node *n, const struct slice *pairs,
                                 int64_t fields)
{
    int64_t master_fields;
    const uint8_t *p = snode_fields(n, &master_fields);
    if (fields != master_fields) {
        return false;
    }
    for (int64_t i = 0; i < fields; i++) {
        char buf[NUM_INT_CHARS];
        if (!slice_equal(selem_slice(p, buf), pairs[2 * i])) {
            return false;
        }
        p = selem_next(p);
    }
    return true;
}

static void write_entry(struct stream_node *n, struct stream_id node_id, struct stream_id id,
                        const struct slice *pairs, int64_t fields, bool same_fields)
{
    uint8_t *p = n->lp + snode_total(n) - 1;
    p = write_int(p, same_fields ? NODE_SAME_FIELDS : 0);
    p = write_int(p, (int64_t)(id.ms - node_id.ms));
    p = write_int(p, (int64_t)(id.seq - node_id.seq));
    int64_t pieces = 3 + fields;
    if (!same_fields) {
        p = write_int(p, fields);
        pieces += 1 + fields;
    }
    for (int64_t i = same_fields; i < 2 * fields; i += 1 + same_fields) {
        p = write_slice(p, pairs[i]);
    }
    p = write_int(p, pieces);
    set_total(n, p);
    add_elements(n, (uint64_t)pieces + 1);
}

struct stream_node *snode_new(struct stream_id id, const struct slice *pairs, int64_t fields,
                              size_t expected)
{
    size_t master = NODE_HEADER_BYTES + 1 + 4 * INT_BYTES_MAX;
    for (int64_t i = 0; i < fields; i++) {
        master += pairs[2 * i].len + ELEMENT_EXTRA_MAX;
    }
    struct stream_node *n = block_new(whole_block(master > expected ? master : expected));
    memset(n->lp, 0, NODE_HEADER_BYTES);
    uint8_t *p = n->lp + NODE_HEADER_BYTES;
    p = write_int(p, 1);
    p = write_int(p, 0);
    p = write_int(p, fields);
    for (int64_t i = 0; i < fields; i++) {
        p = write_slice(p, pairs[2 * i]);
    }
    p = write_int(p, 0);
    set_total(n, p);
    add_elements(n, (uint64_t)fields + 4);
    n = reserve(n, entry_bytes_max(pairs, fields), expected);
    write_entry(n, id, id, pairs, fields, true);
    return n;
}

struct stream_node *snode_append(struct stream_node *n, struct stream_id node_id,
                                 struct stream_id id, const struct slice *pairs, int64_t fields,
                                 size_t room_max)
{
    n = reserve(n, entry_bytes_max(pairs, fields), room_max);
    n = replace_int(n, NODE_HEADER_BYTES, snode_count(n) + 1);
    n = reserve(n, entry_bytes_max(pairs, fields), room_max); /* the count may have grown */
    write_entry(n, node_id, id, pairs, fields, has_fields_of_master(n, pairs, fields));
    return n;
}

/* --- what strangers send --- */

struct checker {
    const uint8_t *at, *end; /* end: at the EOF */
    uint64_t elements;
};

/* The element at hand if it is whole and its length behind it is right; moves on. */
static const uint8_t *check_element(struct checker *k)
{
    const uint8_t *p = k->at;
    const size_t left = (size_t)(k->end - p);
    if (left == 0 || p[0] > 0xf4) {
        return NULL;
    }
    const size_t head = p[0] < 0xc0 ? 1 : p[0] < 0xf0 ? 2 : p[0] == 0xf0 ? 5 : 1;
    if (left < head) {
        return NULL;
    }
    const size_t body = selem_body(p), back = selem_backlen_bytes(body);
    uint8_t expected[5];
    if (left < body + back) {
        return NULL;
    }
    write_backlen(expected, body);
    if (memcmp(p + body, expected, back) != 0) {
        return NULL;
    }
    k->at = p + body + back;
    k->elements++;
    return p;
}

static bool check_int(struct checker *k, int64_t *v)
{
    const uint8_t *p = check_element(k);
    if (!p || !selem_is_int(p)) {
        return false;
    }
    *v = selem_int(p);
    return true;
}

static bool check_elements(struct checker *k, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        if (!check_element(k)) {
            return false;
        }
    }
    return n >= 0;
}

static bool check_entry(struct checker *k, int64_t master_fields, bool *live)
{
    int64_t flags, delta, fields = master_fields, pieces;
    if (!check_int(k, &flags) || !check_int(k, &delta) || !check_int(k, &delta)) {
        return false;
    }
    const uint64_t before = k->elements - 3;
    if (flags & NODE_SAME_FIELDS) {
        if (!check_elements(k, fields)) {
            return false;
        }
    } else if (!check_int(k, &fields) || fields < 0 || fields > k->end - k->at ||
               !check_elements(k, 2 * fields)) {
        return false;
    }
    *live = !(flags & NODE_DELETED);
    return check_int(k, &pieces) && pieces >= 0 &&
           (uint64_t)pieces == k->elements - 1 - before;
}

bool snode_validate(const uint8_t *lp, size_t len, uint64_t *live)
{
    uint32_t total;
    uint16_t elements;
    if (len < NODE_HEADER_BYTES + 1 || len > STREAM_NODE_MAX_BYTES * 2) {
        return false;
    }
    memcpy(&total, lp, sizeof total);
    memcpy(&elements, lp + sizeof total, sizeof elements);
    if (le32toh(total) != len || lp[len - 1] != NODE_EOF) {
        return false;
    }
    struct checker k = {.at = lp + NODE_HEADER_BYTES, .end = lp + len - 1};
    int64_t count, deleted, fields, zero, found_live = 0, found_deleted = 0;
    if (!check_int(&k, &count) || !check_int(&k, &deleted) || !check_int(&k, &fields) ||
        fields < 0 || !check_elements(&k, fields) || !check_int(&k, &zero) || zero != 0) {
        return false;
    }
    while (k.at < k.end) {
        bool is_live;
        if (!check_entry(&k, fields, &is_live)) {
            return false;
        }
        found_live += is_live;
        found_deleted += !is_live;
    }
    *live = (uint64_t)found_live;
    return found_live == count && found_deleted == deleted && count + deleted > 0 &&
           (le16toh(elements) == NODE_ELEMENTS_MAX || le16toh(elements) == k.elements);
}
