/* cmd_bitmap.h - the functions that the bitmap table (cmd_bitmap_table.c) names. */
#ifndef ASHLAR_CORE_CMD_BITMAP_H
#define ASHLAR_CORE_CMD_BITMAP_H

#include "core/command.h"

/* cmd_bitmap.c */
void bitmap__setbit(struct call *c);
void bitmap__getbit(struct call *c);
void bitmap__bitcount(struct call *c);
void bitmap__bitpos(struct call *c);
void bitmap__bitop(struct call *c);

/* cmd_bitfield.c */
void bitmap__bitfield(struct call *c);
void bitmap__bitfield_ro(struct call *c);

/* --- shared by the two --- */

/* Parses argv[i], the number of a bit: "12", or "#3", three times unit (0: not allowed). Replies an
 * error and returns false when it is none, or beyond the longest string. */
bool bitmap__arg_offset(struct call *c, uint32_t i, unsigned unit, uint64_t *offset);
/* The bytes of a key's string, to be changed in place, at least len of them: an absent key is made,
 * a shorter string grows by zeroes (*grew). NULL: an error was replied. */
uint8_t *bitmap__to_change(struct call *c, const struct key *k, size_t len, bool *grew);

#endif
