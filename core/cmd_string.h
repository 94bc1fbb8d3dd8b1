/* cmd_string.h - the string commands among themselves: what the files cmd_string*.c share, and the
 * functions that the table (cmd_string_table.c) names. */
#ifndef ASHLAR_CORE_CMD_STRING_H
#define ASHLAR_CORE_CMD_STRING_H

#include "core/command.h"

/* The value as a bulk string; a large one is sent from where it lies. */
void string__reply(struct call *c, struct entry *e);
/* Tells the others that a write command has changed its key. */
void string__changed(struct call *c, const struct key *k, const char *event);
/* The value of e as a blob of its own that may be changed, with room for len bytes (at least those
 * it has). NULL when there is no memory: an error was replied, the value is what it was. */
struct blob *string__blob_to_change(struct call *c, const struct key *k, struct entry *e,
                                    size_t len);
/* An absent key becomes len zeroes. NULL when there is no memory: an error was replied. */
struct blob *string__blob_zeroes(struct call *c, const struct key *k, size_t len);

/* cmd_string.c: reading and setting whole values */
void string__get(struct call *c);
void string__getdel(struct call *c);
void string__getex(struct call *c);
void string__getset(struct call *c);
void string__mget(struct call *c);
void string__mset(struct call *c);
void string__msetnx(struct call *c);
void string__psetex(struct call *c);
void string__set(struct call *c);
void string__setex(struct call *c);
void string__setnx(struct call *c);
void string__strlen(struct call *c);

/* cmd_string_change.c: parts of values, and counters */
void string__append(struct call *c);
void string__decr(struct call *c);
void string__decrby(struct call *c);
void string__getrange(struct call *c);
void string__incr(struct call *c);
void string__incrby(struct call *c);
void string__incrbyfloat(struct call *c);
void string__setrange(struct call *c);

/* cmd_string_lcs.c */
void string__lcs(struct call *c);

#endif
