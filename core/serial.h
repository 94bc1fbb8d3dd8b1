/* serial.h - a value as the bytes of an RDB file, as DUMP and RESTORE exchange them. Any thread.
 *
 * Payload: type byte, value as in an RDB file, two bytes RDB version (little endian), CRC-64
 * (Jones) of all that (little endian). Written in the lowest version that can hold the content
 * (at most 10 for all types of Redis 7.0), read up to version 12. Format: the RDB sections of the
 * Redis documentation and rdb.h of Redis 7. */
#ifndef ASHLAR_CORE_SERIAL_H
#define ASHLAR_CORE_SERIAL_H

#include "core/entry.h"
#include "core/settings.h"
#include "proto/slice.h"
#include <stdbool.h>
#include <stdint.h>

struct bytes { /* a growing buffer */
    char *data;
    size_t len, cap;
};
/* Memory running out aborts, as mem_alloc does. */
void bytes_append(struct bytes *b, const void *data, size_t len);
void bytes_free(struct bytes *b);

/* Begin with 0. "123456789" -> 0xe9c6d914c4b8d9ca */
uint64_t crc64_update(uint64_t crc, const void *data, size_t len);

/* The value with its type byte, as in an RDB file. */
void serial_value(struct bytes *out, const struct entry *e, const struct settings *settings);
/* serial_value with the footer of DUMP. */
void serial_dump(struct bytes *out, const struct entry *e, const struct settings *settings);

/* A value read from a payload: to be stored with key_set_string/blob/object. */
struct serial_loaded {
    enum value_type type;
    enum value_encoding encoding; /* string: ENC_INT, or ENC_BLOB (bytes in blob) */
    int64_t integer;
    struct blob *blob;
    void *object;
};
enum serial_error { SERIAL_OK, SERIAL_BAD_FOOTER, SERIAL_BAD_DATA };
enum serial_error serial_load_dump(struct slice payload, const struct settings *settings,
                                   struct serial_loaded *out);
/* Frees a value that was not stored after all. */
void serial_loaded_free(struct serial_loaded *value);

#endif
