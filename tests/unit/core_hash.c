/* core_hash.c - hashes against straightforward versions of the same definitions. */
#include "core/hash.h"
#include "core/sha1.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* SipHash-c-d as the paper words it: byte by byte, padded to whole words. */
static uint64_t rotl(uint64_t v, int b)
{
    return v << b | v >> (64 - b);
}

static void rounds(uint64_t v[4], int n)
{
    while (n-- > 0) {
        v[0] += v[1], v[2] += v[3];
        v[1] = rotl(v[1], 13), v[3] = rotl(v[3], 16);
        v[1] ^= v[0], v[3] ^= v[2];
        v[0] = rotl(v[0], 32);
        v[2] += v[1], v[0] += v[3];
        v[1] = rotl(v[1], 17), v[3] = rotl(v[3], 21);
        v[1] ^= v[2], v[3] ^= v[0];
        v[2] = rotl(v[2], 32);
    }
}

static uint64_t little_endian(const uint8_t *p)
{
    uint64_t v = 0;
    for (int i = 7; i >= 0; i--) {
        v = v << 8 | p[i];
    }
    return v;
}

static uint64_t siphash(int c, int d, const uint8_t key[16], const uint8_t *data, size_t len)
{
    size_t words = len / 8 + 1;
    uint8_t *padded = calloc(words, 8);
    memcpy(padded, data, len);
    padded[words * 8 - 1] = (uint8_t)len;
    uint64_t k0 = little_endian(key), k1 = little_endian(key + 8);
    uint64_t v[4] = {k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261,
                     k1 ^ 0x7465646279746573};
    for (size_t i = 0; i < words; i++) {
        uint64_t m = little_endian(padded + 8 * i);
        v[3] ^= m;
        rounds(v, c);
        v[0] ^= m;
    }
    v[2] ^= 0xff;
    rounds(v, d);
    free(padded);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static uint16_t crc16_bitwise(const uint8_t *p, size_t len)
{
    uint16_t crc = 0;
    for (size_t i = 0; i < len; i++) {
        crc ^= (uint16_t)(p[i] << 8);
        for (int bit = 0; bit < 8; bit++) {
            crc = (uint16_t)(crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1);
        }
    }
    return crc;
}

Test(hash, reference_is_siphash)
{
    /* The paper's example (appendix A) is for 2-4: it vouches for the reference. */
    uint8_t key[16], data[15];
    for (uint8_t i = 0; i < 16; i++) {
        key[i] = i;
    }
    for (uint8_t i = 0; i < 15; i++) {
        data[i] = i;
    }
    cr_assert_eq(siphash(2, 4, key, data, 15), 0xa129ca6149be45e5);
}

Test(hash, siphash_1_3_of_every_length)
{
    uint8_t key[16], data[300];
    srandom(1);
    for (size_t i = 0; i < sizeof key; i++) {
        key[i] = (uint8_t)random();
    }
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (uint8_t)random();
    }
    hash_seed(key);
    for (size_t at = 0; at < 9; at++) { /* unaligned too */
        for (size_t len = 0; len <= sizeof data - at; len++) {
            cr_assert_eq(hash_bytes(data + at, len), siphash(1, 3, key, data + at, len),
                         "length %zu", len);
        }
    }
}

Test(hash, what_is_known_of_a_member)
{
    char text[] = "member:1", same[] = "member:1";
    hash_known = (struct hash_known){text, 8, 42};
    cr_assert_eq(hash_member(text, 8), 42);
    cr_assert_eq(hash_member(text, 7), hash_bytes(text, 7));
    cr_assert_eq(hash_member(same, 8), hash_bytes(same, 8));
    hash_known.data = NULL;
    cr_assert_eq(hash_member(text, 8), hash_bytes(text, 8));
}

Test(hash, crc16)
{
    cr_assert_eq(hash_crc16("123456789", 9), 0x31c3);
    cr_assert_eq(hash_crc16("", 0), 0);
    uint8_t data[100];
    srandom(2);
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (uint8_t)random();
    }
    for (size_t len = 0; len <= sizeof data; len++) {
        cr_assert_eq(hash_crc16(data, len), crc16_bitwise(data, len));
    }
}

static uint16_t slot(const char *key)
{
    return hash_slot(key, strlen(key));
}

static uint16_t whole(const char *key)
{
    return crc16_bitwise((const uint8_t *)key, strlen(key)) % SLOT_COUNT;
}

Test(hash, slots_and_tags)
{
    cr_assert_eq(slot("foo"), 12182); /* as CLUSTER KEYSLOT says */
    cr_assert_eq(slot("somekey"), 11058);
    cr_assert_eq(slot("{user1000}.following"), slot("{user1000}.followers"));
    cr_assert_eq(slot("{user1000}.following"), whole("user1000"));
    cr_assert_eq(slot("foo{}{bar}"), whole("foo{}{bar}"));
    cr_assert_eq(slot("foo{{bar}}zap"), whole("{bar"));
    cr_assert_eq(slot("foo{bar}{zap}"), whole("bar"));
    cr_assert_eq(slot("foo{bar"), whole("foo{bar"));
    cr_assert_eq(slot("}{"), whole("}{"));
    cr_assert_eq(slot(""), 0);
}

static void check_sha1(const char *text, const char *hex)
{
    uint8_t out[SHA1_BYTES];
    char got[2 * SHA1_BYTES + 1];
    sha1(text, strlen(text), out);
    for (int i = 0; i < SHA1_BYTES; i++) {
        snprintf(got + 2 * i, 3, "%02x", out[i]);
    }
    cr_assert_str_eq(got, hex);
}

Test(hash, sha1)
{
    check_sha1("", "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    check_sha1("abc", "a9993e364706816aba3e25717850c26c9cd0d89d");
    check_sha1("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
               "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
    /* one byte short of a block's room for the length, and one more */
    check_sha1("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
               "c1c8bbdc22796e28c0e15163d20899b65621d65a");
    check_sha1("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
               "c2db330f6083854c99d4b5bfb6e8f29f201be699");
}
