/* crc64.c - CRC-64 "Jones", the checksum of RDB files and of DUMP payloads. Any thread.
 *
 * Polynomial 0xad93d23594c935a9, input and output reflected, start 0, no final inversion. Bits are
 * taken from the low end, so the tables are built from the mirrored polynomial.
 *
 * Sliced by 8: tables[0] is the ordinary byte table; tables[n][b] is the effect of byte b followed
 * by n zero bytes. Eight bytes then cost eight independent look-ups instead of a chain of eight.
 */
#include "core/serial.h"
#include <endian.h>
#include <string.h>

enum { SLICES = 8 };

#define POLYNOMIAL_MIRRORED 0x95ac9329ac4bc9b5ULL

static uint64_t tables[SLICES][256];

/* Before main, so that no thread ever has to ask whether the tables are there. */
__attribute__((constructor)) static void build_tables(void)
{
    for (unsigned b = 0; b < 256; b++) {
        uint64_t crc = b;
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ ((crc & 1) ? POLYNOMIAL_MIRRORED : 0);
        }
        tables[0][b] = crc;
    }
    for (unsigned b = 0; b < 256; b++) {
        for (int n = 1; n < SLICES; n++) {
            const uint64_t before = tables[n - 1][b];
            tables[n][b] = (before >> 8) ^ tables[0][before & 0xff];
        }
    }
}

uint64_t crc64_update(uint64_t crc, const void *data, size_t len)
{
    const uint8_t *p = data;
    for (; len >= SLICES; p += SLICES, len -= SLICES) {
        uint64_t word;
        memcpy(&word, p, sizeof word);
        crc ^= le64toh(word);
        crc = tables[7][crc & 0xff] ^ tables[6][(crc >> 8) & 0xff] ^ tables[5][(crc >> 16) & 0xff] ^
              tables[4][(crc >> 24) & 0xff] ^ tables[3][(crc >> 32) & 0xff] ^
              tables[2][(crc >> 40) & 0xff] ^ tables[1][(crc >> 48) & 0xff] ^ tables[0][crc >> 56];
    }
    for (; len > 0; p++, len--) {
        crc = (crc >> 8) ^ tables[0][(crc ^ *p) & 0xff];
    }
    return crc;
}
