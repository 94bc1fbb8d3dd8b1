/* text.h - a growing piece of text, for reports (INFO, LATENCY DOCTOR, MONITOR lines).
 *
 * Always zero-terminated once something was added. Owner: one thread at a time. Reports are made
 * by commands that answer at most some hundred kilobytes, so growth simply doubles. */
#ifndef ASHLAR_SHARDS_TEXT_H
#define ASHLAR_SHARDS_TEXT_H

#include "proto/slice.h"
#include <stddef.h>
#include <stdint.h>

enum { TEXT_HUMAN_BYTES = 32, TEXT_ROOM_MIN = 256 };

struct text { /* all zero: empty */
    char *data;
    size_t len, cap;
};

void text_append(struct text *t, const void *data, size_t len);
void text_printf(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* In double quotes, with what is not printable escaped, as MONITOR shows arguments. */
void text_quote(struct text *t, struct slice s);
void text_free(struct text *t);

/* "1.50M": bytes for people, as INFO's *_human fields. */
void text_human_bytes(char out[TEXT_HUMAN_BYTES], uint64_t bytes);

#endif
