/* serial_type.h - how the value types plug into serial.c: the pieces that RDB values are made of.
 *
 * Private to core/. A type brings one serial__save (in the table by value type) and a serial__load
 * for each RDB type byte that it can read (in the table by that byte); both tables stand in
 * serial.c. Values are written and read with the functions below.
 *
 *   length   00xxxxxx                      6 bits
 *            01xxxxxx xxxxxxxx             14 bits
 *            10000000 + 4 bytes            32 bits, big endian
 *            10000001 + 8 bytes            64 bits, big endian
 *   string   length, bytes
 *            11000000 + 1 byte             number of 8 bits
 *            11000001 + 2 bytes            of 16 bits, little endian
 *            11000010 + 4 bytes            of 32 bits, little endian
 *            11000011 length length bytes  LZF: compressed length, original length
 *
 * What is read comes from strangers. S1: nothing is allocated on the word of a length alone: a
 * plain string must be there in full, a compressed one must be there in full and may claim no more
 * than LZF can make of it. S2: a reader never passes its end; after a failure it stays where it is.
 *
 * Thread: any; a reader belongs to one.
 */
#ifndef ASHLAR_CORE_SERIAL_TYPE_H
#define ASHLAR_CORE_SERIAL_TYPE_H

#include "core/serial.h"

enum serial_rdb_type { /* the type bytes of RDB files */
    RDB_STRING = 0,
    RDB_LIST = 1,
    RDB_SET = 2,
    RDB_ZSET = 3,
    RDB_HASH = 4,
    RDB_ZSET_2 = 5,
    RDB_HASH_ZIPMAP = 9,
    RDB_LIST_ZIPLIST = 10,
    RDB_SET_INTSET = 11,
    RDB_ZSET_ZIPLIST = 12,
    RDB_HASH_ZIPLIST = 13,
    RDB_LIST_QUICKLIST = 14,
    RDB_STREAM_LISTPACKS = 15,
    RDB_HASH_LISTPACK = 16,
    RDB_ZSET_LISTPACK = 17,
    RDB_LIST_QUICKLIST_2 = 18,
    RDB_STREAM_LISTPACKS_2 = 19,
    RDB_SET_LISTPACK = 20,
    RDB_STREAM_LISTPACKS_3 = 21,
    RDB_HASH_METADATA = 24,    /* fields with expiries */
    RDB_HASH_LISTPACK_EX = 25,
    RDB_TYPE_BYTES = 26, /* how many are told apart */
};

/* LZF spends at least 3 bytes on a match, which copies at most 264 bytes. */
enum { SERIAL_LZF_RATIO_MAX = 88 };

struct serial_reader {
    const uint8_t *at, *end;
    const struct settings *settings;
    int version; /* of the payload's footer or the file's header */
};

/* Writes the type byte (which may depend on the encoding) and the value. */
typedef void serial__save(struct bytes *out, const struct entry *e,
                          const struct settings *settings);
/* Reads the value behind a type byte. False when it is malformed; then nothing is left in *out. */
typedef bool serial__load(struct serial_reader *r, enum serial_rdb_type type,
                          struct serial_loaded *out);

/* --- the types' functions, for the tables in serial.c --- */
serial__save serial__save_set; /* set_serial.c */
serial__load serial__load_set, serial__load_set_intset, serial__load_set_listpack;
/* --- the types' own files --- */
serial__save serial__save_hash; /* serial_hash.c */
serial__load serial__load_hash;
serial__save serial__save_zset; /* zset_serial.c */
serial__load serial__load_zset, serial__load_zset_listpack;

/* --- writing --- */
void serial__write_byte(struct bytes *out, uint8_t byte);
void serial__write_len(struct bytes *out, uint64_t len);
void serial__write_int(struct bytes *out, int64_t v); /* as a string, in the shortest form */
void serial__write_string(struct bytes *out, struct slice s, const struct settings *settings);

/* The footer of DUMP for what was appended from start on: version 10, CRC-64. */
void serial__write_footer(struct bytes *out, size_t start);

/* --- reading --- */
bool serial__footer_is_good(struct slice payload, bool any_checksum, int *version);
/* n bytes in place, NULL when there are not that many. */
const uint8_t *serial__read_bytes(struct serial_reader *r, uint64_t n);
/* A length; false too when a special form stands in its place. */
bool serial__read_len(struct serial_reader *r, uint64_t *len);
/* A string as a blob (a reference for the caller), or, *blob being NULL, a number. */
bool serial__read_string(struct serial_reader *r, struct blob **blob, int64_t *number);

/* --- the types that have files of their own (serial_<type>.c) --- */
serial__save serial__save_list;
serial__load serial__load_list;

#endif
