/* zipmap.h - reading zipmaps, the form that small hashes had in RDB files before Redis 2.6.
 *
 *   pairs u8 (254 and more: count them) │ field, value │ … │ 0xFF
 *   field: length │ bytes        value: length │ unused u8 │ bytes │ unused bytes
 *   length: 1 byte up to 253, or 0xFE and 4 bytes LE
 *
 * They come from strangers, so everything is checked. Any thread. */
#ifndef ASHLAR_CORE_ZIPMAP_H
#define ASHLAR_CORE_ZIPMAP_H

#include "core/listpack.h"

/* The same fields and values, one after the other, as a listpack; NULL when the bytes are no sound
 * zipmap. Whether a field stands there twice is for the caller to find out. */
struct listpack *zipmap_to_listpack(const void *bytes, size_t len);

#endif
