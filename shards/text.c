/* text.c - growing text (text.h). */
#include "shards/text.h"
#include "core/mem.h"
#include <stdarg.h>
#include <stdio.h>

static void ensure_room(struct text *t, size_t bytes)
{
    size_t need = t->len + bytes + 1;
    if (need <= t->cap) {
        return;
    }
    size_t cap = t->cap < TEXT_ROOM_MIN ? TEXT_ROOM_MIN : t->cap * 2;
    if (cap < need) {
        cap = need;
    }
    t->data = mem_realloc(t->data, cap);
    t->cap = cap;
}

void text_append(struct text *t, const void *data, size_t len)
{
    ensure_room(t, len);
    memcpy(t->data + t->len, data, len);
    t->len += len;
    t->data[t->len] = 0;
}

void text_printf(struct text *t, const char *fmt, ...)
{
    va_list args;

    ensure_room(t, TEXT_ROOM_MIN);
    va_start(args, fmt);
    int len = vsnprintf(t->data + t->len, t->cap - t->len, fmt, args);
    va_end(args);
    if (len < 0) {
        t->data[t->len] = 0;
        return;
    }
    if ((size_t)len >= t->cap - t->len) {
        ensure_room(t, (size_t)len);
        va_start(args, fmt);
        vsnprintf(t->data + t->len, t->cap - t->len, fmt, args);
        va_end(args);
    }
    t->len += (size_t)len;
}

void text_quote(struct text *t, struct slice s)
{
    static const char hex[] = "0123456789abcdef";
    static const char escapes[] = "abtn\0\0r"; /* of bytes 7 … 13 */

    ensure_room(t, s.len * 4 + 2);
    char *at = t->data + t->len;
    *at++ = '"';
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = (uint8_t)s.ptr[i];
        if (c == '"' || c == '\\') {
            *at++ = '\\';
            *at++ = (char)c;
        } else if (c >= 7 && c <= 13 && escapes[c - 7]) {
            *at++ = '\\';
            *at++ = escapes[c - 7];
        } else if (c >= 32 && c < 127) {
            *at++ = (char)c;
        } else {
            *at++ = '\\';
            *at++ = 'x';
            *at++ = hex[c >> 4];
            *at++ = hex[c & 15];
        }
    }
    *at++ = '"';
    *at = 0;
    t->len = (size_t)(at - t->data);
}

void text_free(struct text *t)
{
    mem_free(t->data);
    *t = (struct text){0};
}

void text_human_bytes(char out[TEXT_HUMAN_BYTES], uint64_t bytes)
{
    static const char units[] = "KMGTP";
    if (bytes < 1024) {
        snprintf(out, TEXT_HUMAN_BYTES, "%lluB", (unsigned long long)bytes);
        return;
    }
    int unit = 0;
    double v = (double)bytes / 1024;
    while (v >= 1024 && units[unit + 1]) {
        v /= 1024;
        unit++;
    }
    snprintf(out, TEXT_HUMAN_BYTES, "%.2f%c", v, units[unit]);
}
