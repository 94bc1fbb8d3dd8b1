/* hash_value.h - the value of a hash key, in whichever of its three forms it is.
 *
 *   ENC_LISTPACK      struct listpack *      field, value, field, value …
 *   ENC_LISTPACK_EX   struct listpack *      field, value, expiry, … once a field has had an expiry
 *   ENC_TABLE         struct hash_fields *   large ones (hash_fields.h)
 *
 * In ENC_LISTPACK_EX the expiry is unix time in milliseconds, 0 for none; fields stand in the order
 * of their expiry, those without last. So what is due is at the beginning.
 *
 * A hash begins as a listpack and never goes back to a smaller form. struct hash_value is a handle:
 * changes may give it another encoding and address, and whoever holds the entry writes them back
 * (key_convert).
 *
 * Expired fields: functions with a now_ms pass over fields whose expiry lies before it;
 * HASH_SEE_ALL sees them all. Nothing here deletes them but hash_value_purge() and
 * hash_value_drop_expired().
 *
 * Owner: one thread. */
#ifndef ASHLAR_CORE_HASH_VALUE_H
#define ASHLAR_CORE_HASH_VALUE_H

#include "core/entry.h"
#include "core/hash_fields.h"
#include "core/listpack.h"
#include "core/settings.h"

#define HASH_SEE_ALL INT64_MIN

enum { HASH_DIGITS = LISTPACK_INT_CHARS };

struct hash_value {
    enum value_encoding encoding;
    void *object; /* NULL: no hash; reads as an empty one */
};

static inline struct hash_value hash_value_of(const struct entry *e)
{
    return (struct hash_value){.encoding = e->encoding, .object = entry_object(e)};
}

/* A field and its value; good until the hash changes, and not to be copied (slices may point to
 * the digits). */
struct hash_element {
    struct slice field, value;
    int64_t at_ms; /* expiry, or HASH_NO_EXPIRY */
    void *place;   /* of the element in the hash: hash_value_look() finds it again */
    char field_digits[HASH_DIGITS], value_digits[HASH_DIGITS];
};

/* An empty hash. */
struct hash_value hash_value_new(void);
void hash_value_free(struct hash_value *h);
struct hash_value hash_value_copy(const struct hash_value *h);

/* All fields, expired ones included. */
uint64_t hash_value_count(const struct hash_value *h);
/* Those that are not expired; walks the hash if some may be. */
uint64_t hash_value_count_live(const struct hash_value *h, int64_t now_ms);
/* Lower bound of the earliest expiry, INT64_MAX if there is none. */
int64_t hash_value_expire_min_ms(const struct hash_value *h);
/* May there be expired fields? */
static inline bool hash_value_is_due(const struct hash_value *h, int64_t now_ms)
{
    return h->encoding != ENC_LISTPACK && hash_value_expire_min_ms(h) < now_ms;
}

bool hash_value_get(const struct hash_value *h, struct slice field, int64_t now_ms,
                    struct hash_element *out);
/* Sets a field, whether it has expired or not; true when it was not there. An expiry that it had
 * is kept or removed. field and value must not lie in the hash. */
bool hash_value_put(struct hash_value *h, struct slice field, struct slice value, bool keep_expiry,
                    const struct settings *settings);
bool hash_value_remove(struct hash_value *h, struct slice field);
/* Gives a field that is there an expiry (above 0), or takes it away (HASH_NO_EXPIRY). */
void hash_value_set_expiry(struct hash_value *h, struct slice field, int64_t at_ms);
/* Deletes this one field if it has expired. */
bool hash_value_drop_expired(struct hash_value *h, struct slice field, int64_t now_ms);
/* Deletes expired fields; returns how many. *budget is how many it may look at, about, and becomes
 * what is left. What could not be looked at is still due (hash_value_is_due). */
size_t hash_value_purge(struct hash_value *h, int64_t now_ms, size_t *budget);
/* To the form for large hashes. */
void hash_value_to_table(struct hash_value *h);

typedef void hash_value_visit(const struct hash_element *element, void *ctx);
/* All fields in some order. The visit changes nothing. */
void hash_value_each(const struct hash_value *h, int64_t now_ms, hash_value_visit *visit,
                     void *ctx);
/* A step of a scan: from position at (0: the start) to the returned position (0: the end was
 * reached), with its low 16 bits clear. Small forms are shown in one step. What stays in the hash
 * during a whole scan is shown. */
uint64_t hash_value_scan(const struct hash_value *h, uint64_t at, int64_t now_ms,
                         hash_value_visit *visit, void *ctx);
/* One field, each with the same chance, expired or not; its place. ENC_TABLE only, not empty. */
void *hash_value_random(const struct hash_value *h, uint64_t (*random)(void *ctx), void *ctx);
void hash_value_look(const struct hash_value *h, void *place, struct hash_element *out);

/* Memory, bytes, of an object in each form, and what else value_ops asks for. */
extern const struct value_ops hash_listpack_ops, hash_listpack_ex_ops, hash_table_ops;

#endif
