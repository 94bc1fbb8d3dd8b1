/* hash.c - see hash.h. SipHash-1-3 after the paper, with whole-word loads; CRC16 sliced by 8.
 *
 * The CRC's tables are filled by a constructor, before any thread exists; the hash key is written
 * once by hash_seed() and only read afterwards. */
#include "core/hash.h"

#include <assert.h>
#include <string.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words are loaded as they lie");

static uint64_t hash_k0, hash_k1;

void hash_seed(const uint8_t seed[16])
{
    memcpy(&hash_k0, seed, 8);
    memcpy(&hash_k1, seed + 8, 8);
}

static inline uint64_t load64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}

static inline uint32_t load32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}

/* The last 0 to 7 bytes of the input, little endian, without reading past them. */
static inline uint64_t load_tail(const uint8_t *p, size_t n)
{
    if (n >= 4) { /* two loads that may overlap */
        uint64_t low = load32(p), high = load32(p + n - 4);
        return low | high << (8 * (n - 4));
    }
    if (n == 0) {
        return 0;
    }
    uint64_t first = p[0], middle = p[n / 2], last = p[n - 1];
    return first | middle << (8 * (n / 2)) | last << (8 * (n - 1));
}

static inline uint64_t rotate(uint64_t v, int bits)
{
    return v << bits | v >> (64 - bits);
}

struct sip {
    uint64_t v0, v1, v2, v3;
};

static inline __attribute__((always_inline)) void sip_round(struct sip *s)
{
    s->v0 += s->v1;
    s->v2 += s->v3;
    s->v1 = rotate(s->v1, 13) ^ s->v0;
    s->v3 = rotate(s->v3, 16) ^ s->v2;
    s->v0 = rotate(s->v0, 32) + s->v3;
    s->v2 += s->v1;
    s->v3 = rotate(s->v3, 21) ^ s->v0;
    s->v1 = rotate(s->v1, 17) ^ s->v2;
    s->v2 = rotate(s->v2, 32);
}

static inline __attribute__((always_inline)) void sip_word(struct sip *s, uint64_t word)
{
    s->v3 ^= word;
    sip_round(s);
    s->v0 ^= word;
}

_Thread_local struct hash_known hash_known;

uint64_t hash_bytes(const void *data, size_t len)
{
    struct sip s = {
        hash_k0 ^ 0x736f6d6570736575, /* the constants spell "somepseudorandomlygeneratedbytes" */
        hash_k1 ^ 0x646f72616e646f6d,
        hash_k0 ^ 0x6c7967656e657261,
        hash_k1 ^ 0x7465646279746573,
    };
    const uint8_t *p = data;
    size_t left = len;
    for (; left >= 8; left -= 8, p += 8) {
        sip_word(&s, load64(p));
    }
    sip_word(&s, load_tail(p, left) | (uint64_t)len << 56);
    s.v2 ^= 0xff;
    sip_round(&s);
    sip_round(&s);
    sip_round(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

/* crc_table[n][b]: what byte b contributes when n more bytes follow it. */
static uint16_t crc_table[8][256];

__attribute__((constructor)) static void crc_table_fill(void)
{
    for (unsigned byte = 0; byte < 256; byte++) {
        uint16_t crc = (uint16_t)(byte << 8);
        for (int bit = 0; bit < 8; bit++) {
            crc = (uint16_t)(crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1);
        }
        crc_table[0][byte] = crc;
    }
    for (unsigned byte = 0; byte < 256; byte++) {
        for (int n = 1; n < 8; n++) {
            uint16_t crc = crc_table[n - 1][byte];
            crc_table[n][byte] = (uint16_t)((crc << 8) ^ crc_table[0][crc >> 8]);
        }
    }
}

uint16_t hash_crc16(const void *data, size_t len)
{
    const uint8_t *p = data;
    uint16_t crc = 0;
    for (; len >= 8; len -= 8, p += 8) {
        crc = crc_table[7][p[0] ^ (crc >> 8)] ^ crc_table[6][p[1] ^ (crc & 0xff)] ^
              crc_table[5][p[2]] ^ crc_table[4][p[3]] ^ crc_table[3][p[4]] ^ crc_table[2][p[5]] ^
              crc_table[1][p[6]] ^ crc_table[0][p[7]];
    }
    for (; len > 0; len--, p++) {
        crc = (uint16_t)((crc << 8) ^ crc_table[0][(crc >> 8) ^ *p]);
    }
    return crc;
}

uint16_t hash_slot(const void *key, size_t len)
{
    const char *text = key;
    const char *open = memchr(text, '{', len);
    if (open) {
        /* Only what stands between the first { and the first } after it counts, if anything. */
        const char *tag = open + 1;
        const char *close = memchr(tag, '}', len - (size_t)(tag - text));
        if (close && close > tag) {
            return hash_crc16(tag, (size_t)(close - tag)) % SLOT_COUNT;
        }
    }
    return hash_crc16(text, len) % SLOT_COUNT;
}
