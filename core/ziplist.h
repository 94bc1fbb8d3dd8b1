/* ziplist.h - reading ziplists, the form that small collections had in RDB files before Redis 7.
 *
 *   total bytes u32 LE │ offset of the last u32 LE │ elements u16 LE │ element … │ 0xFF
 *   element: length of the one before (1 byte, or 0xFE and 4) │ encoding and length │ data
 *
 * They come from strangers, so everything is checked. Any thread. */
#ifndef ASHLAR_CORE_ZIPLIST_H
#define ASHLAR_CORE_ZIPLIST_H

#include "core/listpack.h"

/* The same elements as a listpack; NULL when the bytes are no sound ziplist. */
struct listpack *ziplist_to_listpack(const void *bytes, size_t len);

#endif
