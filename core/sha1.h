/* sha1.h - SHA-1 (FIPS 180-4): for digests of data and names of scripts, not for secrets. Any
 * thread. */
#ifndef ASHLAR_CORE_SHA1_H
#define ASHLAR_CORE_SHA1_H

#include <stddef.h>
#include <stdint.h>

enum { SHA1_BYTES = 20 };

void sha1(const void *data, size_t len, uint8_t out[SHA1_BYTES]);

/* The two ways in which DEBUG DIGEST puts data together. Without order: digest ^= SHA1(data). */
void sha1_xor(uint8_t digest[SHA1_BYTES], const void *data, size_t len);
/* In order: digest = SHA1(digest ^ SHA1(data)). */
void sha1_mix(uint8_t digest[SHA1_BYTES], const void *data, size_t len);

#endif
