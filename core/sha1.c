/* sha1.c - see sha1.h. Straight from FIPS 180-4, section 6.1. */
#include "core/sha1.h"

#include <string.h>

static uint32_t rotate(uint32_t v, int bits)
{
    return v << bits | v >> (32 - bits);
}

static void sha1_block(uint32_t h[5], const uint8_t *p)
{
    uint32_t w[80];
    for (int t = 0; t < 16; t++, p += 4) {
        w[t] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    }
    for (int t = 16; t < 80; t++) {
        w[t] = rotate(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
    }
    uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
    for (int t = 0; t < 80; t++) {
        uint32_t f, k;
        if (t < 20) {
            f = (b & c) | (~b & d), k = 0x5a827999;
        } else if (t < 40) {
            f = b ^ c ^ d, k = 0x6ed9eba1;
        } else if (t < 60) {
            f = (b & c) | (b & d) | (c & d), k = 0x8f1bbcdc;
        } else {
            f = b ^ c ^ d, k = 0xca62c1d6;
        }
        uint32_t next = rotate(a, 5) + f + e + k + w[t];
        e = d, d = c, c = rotate(b, 30), b = a, a = next;
    }
    h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
}

void sha1(const void *data, size_t len, uint8_t out[SHA1_BYTES])
{
    uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    const uint8_t *p = data;
    size_t left = len;
    for (; left >= 64; left -= 64, p += 64) {
        sha1_block(h, p);
    }
    uint8_t last[128] = {0};
    if (left) {
        memcpy(last, p, left);
    }
    last[left] = 0x80;
    size_t end = left < 56 ? 64 : 128; /* the length takes eight bytes */
    uint64_t bits = (uint64_t)len * 8;
    for (int i = 0; i < 8; i++) {
        last[end - 1 - (size_t)i] = (uint8_t)(bits >> (8 * i));
    }
    for (size_t at = 0; at < end; at += 64) {
        sha1_block(h, last + at);
    }
    for (int i = 0; i < SHA1_BYTES; i++) {
        out[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
    }
}

void sha1_xor(uint8_t digest[SHA1_BYTES], const void *data, size_t len)
{
    uint8_t hash[SHA1_BYTES];
    sha1(data, len, hash);
    for (int i = 0; i < SHA1_BYTES; i++) {
        digest[i] ^= hash[i];
    }
}

void sha1_mix(uint8_t digest[SHA1_BYTES], const void *data, size_t len)
{
    sha1_xor(digest, data, len);
    sha1(digest, SHA1_BYTES, digest);
}
