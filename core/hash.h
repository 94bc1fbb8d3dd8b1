/* hash.h - the keyed hash of keys, fields and members, and the slot of a key. Any thread.
 *
 * SipHash-1-3 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012) under a random
 * 128-bit key per process: nobody outside can build collisions. All shards share the key, so a
 * hash computed where a command is parsed is valid where it runs.
 *
 *   63            position in hash order             8 7   tag   0
 *
 * The slot is CRC16/XMODEM of the key, or of its hash tag {…}, modulo 16384, as Redis Cluster
 * defines it (check value of "123456789": 0x31C3). */
#ifndef ASHLAR_CORE_HASH_H
#define ASHLAR_CORE_HASH_H

#include <stddef.h>
#include <stdint.h>

enum { SLOT_COUNT = 16384 };

void hash_seed(const uint8_t seed[16]); /* once, before any thread hashes */
uint64_t hash_bytes(const void *data, size_t len);
/* The member or field that the command now running on this thread names, if it was hashed before (to
 * be prefetched): hash_member() knows it by where it lies. Its bytes stay as they are meanwhile. */
struct hash_known {
    const void *data; /* NULL: none */
    size_t len;
    uint64_t hash;
};
extern _Thread_local struct hash_known hash_known;
static inline uint64_t hash_member(const void *data, size_t len)
{
    return data == hash_known.data && len == hash_known.len ? hash_known.hash
                                                            : hash_bytes(data, len);
}
uint16_t hash_crc16(const void *data, size_t len); /* sliced by 8 */
uint16_t hash_slot(const void *key, size_t len);

#endif
