/* set.h - sets: an intset, a listpack, or a table of members. Owner: the key's shard.
 *
 *   intset    all members are integers, at most set-max-intset-entries      core/intset.h
 *   listpack  at most set-max-listpack-entries members of at most
 *             set-max-listpack-value bytes                                  core/listpack.h
 *   table     everything else                                               core/table.h
 *
 * A set only moves down that list, never up. Members of a table are one allocation each, from the
 * slab, found by the member's hash:
 *
 *   length 1 byte, or 255 and 4 bytes │ bytes        "member:00042": 13 bytes, 16 with rounding
 *
 * so that a set of many costs a member its bytes, one, the rounding to 8, and some 10 of table.
 *
 * struct set is a *handle*: what an entry says of its value. A function that takes a handle that is
 * not const may convert or move the value and then changes the handle; whoever took it from an
 * entry puts it back (set_put). Integers are members in their canonical spelling in whatever
 * encoding, so "007" and "7" are two members.
 */
#ifndef ASHLAR_CORE_SET_H
#define ASHLAR_CORE_SET_H

#include "core/command.h"
#include "core/entry.h"
#include "core/num.h"
#include "core/table.h"

struct set {
    enum value_encoding encoding; /* ENC_INTSET, ENC_LISTPACK, ENC_TABLE */
    void *object;
};

/* A member, as iteration shows it: the bytes lie in the set (until it changes), an integer's in
 * the struct itself. */
enum set_member_form { SET_MEMBER_UNKNOWN, SET_MEMBER_INT, SET_MEMBER_TEXT };
struct set_member {
    const char *ptr; /* NULL: an integer whose digits nobody has asked for yet */
    size_t len;
    int64_t number;  /* SET_MEMBER_INT */
    uint64_t hash;   /* if hashed: of the bytes */
    enum set_member_form form; /* unknown: nobody has looked yet whether it is an integer */
    bool hashed;
    char digits[NUM_INT_CHARS]; /* ptr may point here: not to be copied then */
};

/* --- life --- */
/* An empty set for a first member such as this, of about count. */
struct set set_new(struct slice first, size_t count, const struct settings *settings);
struct set set_copy(const struct set *s);
void set_free(struct set *s);
/* The handle of an entry's value, and back into the entry after changes. */
struct set set_of(const struct entry *e);
void set_put(struct call *c, const struct key *k, struct entry *e, const struct set *s);

/* --- members --- */
size_t set_count(const struct set *s);
struct slice set_member_bytes(struct set_member *m); /* fills in the digits of an integer */
struct set_member set_member_of(struct slice bytes); /* a client's word */
bool set_has(const struct set *s, struct set_member *m);
/* True when it was not there. */
bool set_add(struct set *s, struct set_member *m, const struct settings *settings);
/* True when it was there. */
bool set_remove(struct set *s, struct set_member *m);
/* About count members are about to be added: converts early what would be too small. */
void set_expect(struct set *s, size_t count, const struct settings *settings);
/* A member by chance, evenly; the set is not empty. random is 64 fresh random bits per call. */
void set_random(const struct set *s, uint64_t (*random)(void *ctx), void *ctx,
                struct set_member *out);
/* count distinct members by chance (count <= set_count), every choice equally likely. */
typedef void set_visit(struct set_member *m, void *ctx);
void set_sample(const struct set *s, size_t count, uint64_t (*random)(void *ctx),
                void *random_ctx, set_visit *visit, void *ctx);

/* --- iteration: the set must not change meanwhile --- */
enum { SET_ITER_INLINE = 24 };
struct set_iter {
    const struct set *set;
    uint32_t index;         /* intset */
    uint8_t *at;            /* listpack: next */
    uint64_t pos;           /* table: next bucket; the members of the last one: */
    const void **items;
    unsigned count, next, cap;
    bool end;
    const void *inline_[SET_ITER_INLINE];
};
void set_iter_init(struct set_iter *it, const struct set *s);
bool set_next(struct set_iter *it, struct set_member *m);
void set_iter_end(struct set_iter *it); /* also before its end */

/* SSCAN: visits at least about count members from a cursor on (0: the start) and returns the next
 * cursor, 0 at the end. Small encodings are shown as a whole. Cursors are positions in hash order
 * (table.h): what stays in the set during the whole scan is shown, however much it grows. */
uint64_t set_scan(const struct set *s, uint64_t cursor, size_t count, set_visit *visit, void *ctx);

/* --- rows of entry.c, serial.c, cmd_key.c --- */
extern const struct value_ops set__intset_ops, set__listpack_ops, set__table_ops;

#endif
