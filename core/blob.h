/* blob.h - a long string value outside its entry, counted by reference.
 *
 * References are atomic because a reply may still be sending the bytes on another shard
 * (reply_bulk_ref) while the key is overwritten. Whoever wants to change the bytes must hold the
 * only reference (blob_own makes a copy otherwise). */
#ifndef ASHLAR_CORE_BLOB_H
#define ASHLAR_CORE_BLOB_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct blob {
    _Atomic uint32_t refs;
    uint32_t unused;
    size_t len, cap; /* bytes in use, bytes of room */
    char data[];
};

struct blob *blob_new(const void *data, size_t len, size_t cap); /* data NULL: zeroes */
struct blob *blob_try_new(const void *data, size_t len, size_t cap); /* NULL when memory is short */
void blob_hold(struct blob *b);
void blob_release(void *b); /* fits reply_bulk_ref's release */
/* A blob that this caller may change, with at least cap bytes of room; gives up the old
 * reference. NULL (old one kept) when memory is short. */
struct blob *blob_own(struct blob *b, size_t cap);

#endif
