/* config_table.h - the table of directives, shared by the config_*.c files; nobody else's.
 *
 * A row says how a value is checked, how it is printed (its *text*, the canonical form that CONFIG
 * GET shows), and in which field of struct config it goes. A row without a field, unless it is
 * special and says otherwise, is accepted without effect.
 */
#ifndef ASHLAR_SHARDS_CONFIG_TABLE_H
#define ASHLAR_SHARDS_CONFIG_TABLE_H

#include "shards/config.h"
#include <stddef.h>

enum config_type { CONFIG_BOOL, CONFIG_INT, CONFIG_ENUM, CONFIG_STRING, CONFIG_SPECIAL };

enum config_flag {
    CONFIG_IMMUTABLE = 1 << 0,     /* CONFIG SET refuses */
    CONFIG_PROTECTED = 1 << 1,     /* CONFIG SET only as enable-protected-configs says */
    CONFIG_SENSITIVE = 1 << 2,
    CONFIG_DENY_LOADING = 1 << 3,  /* CONFIG SET refuses while data is being loaded */
    CONFIG_HIDDEN = 1 << 4,        /* CONFIG GET only by its full name */
    CONFIG_MULTI_ARG = 1 << 5,
    CONFIG_EMPTY_IS_NULL = 1 << 6, /* strings: unset, and never rewritten as "" */
    CONFIG_MEMORY = 1 << 7,        /* integers: 1gb, 512mb … */
    CONFIG_PERCENT = 1 << 8,       /* … or 5%, kept as a negative number */
    CONFIG_OCTAL = 1 << 9,
    CONFIG_UNSIGNED = 1 << 10,     /* a negative number is a very large one to the range check */
    CONFIG_ACTS = 1 << 11,         /* special ones that have an effect here */
    CONFIG_BINARY = 1 << 12,       /* strings: may hold zero bytes */
    CONFIG_SAME_OK = 1 << 13,      /* immutable, but CONFIG SET to the value in force is no error */
};

enum config_field {
    CONFIG_NO_FIELD,
    CONFIG_FIELD_BOOL,
    CONFIG_FIELD_INT,
    CONFIG_FIELD_INT64,
    CONFIG_FIELD_STRING,
    CONFIG_FIELD_SLICE
};

struct config_enum {
    const char *name; /* ended by NULL */
    int value;
};

/* Checks argv, sets the fields, returns the text (malloc'ed), or NULL with err. */
typedef char *config_special(struct config *c, int argc, char **argv, char err[CONFIG_ERR_BYTES]);
/* A further check of a value that has passed those of its type. */
typedef bool config_check(const char *text, int64_t value, char err[CONFIG_ERR_BYTES]);

struct config_row {
    const char *name, *alias;
    enum config_type type;
    unsigned flags;               /* enum config_flag */
    const char *initial;          /* the default, as text */
    const char *inert;            /* a further value that asks for nothing that is missing here */
    int64_t min, max;
    const struct config_enum *values;
    config_special *special;
    config_check *check;
    size_t offset;
    enum config_field field;
};

extern const struct config_row config__rows[]; /* ended by name == NULL */
int config__row_count(void);

/* Sets row by its arguments (one, unless CONFIG_MULTI_ARG). */
bool config__set(struct config *c, int row, int argc, char **argv, char err[CONFIG_ERR_BYTES]);
/* The same for a CONFIG_BINARY row. */
void config__set_binary(struct config *c, int row, const char *value, size_t len);
bool config__acts(const struct config_row *row);
const char *config__enum_name(const struct config_enum *values, int value);

/* Splits a line as Redis splits inline commands and configuration lines: blanks separate,
 * "…" with \n \r \t \b \a \xHH and \", '…' with \'. NULL when quotes do not balance. The
 * result and its strings are one allocation for free(). The words lie behind each other and
 * argv[argc] is their end: word i has argv[i + 1] - argv[i] - 1 bytes. */
char **config__split(const char *line, int *argc);
/* Reads a whole file; NULL and errno on failure. */
char *config__read_file(const char *path, size_t *len);

/* A text that grows. */
struct config_text {
    char *data; /* zero-terminated, NULL while empty */
    size_t len, cap;
};
void config__append(struct config_text *t, const char *data, size_t len);
void config__append_str(struct config_text *t, const char *s);
void config__appendf(struct config_text *t, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* In double quotes, such that config__split() gives the same bytes back. */
void config__append_quoted(struct config_text *t, const char *s, size_t len);
char *config__take(struct config_text *t); /* never NULL */

void *config__alloc(size_t bytes); /* ends the process when memory is out */
char *config__strdup(const char *s);

/* Tries to raise the limit on open files for so many clients; returns for how many it suffices. */
int64_t config__raise_open_files(const struct config *c, int64_t clients);

/* config_special.c */
config_special config__bind, config__dir, config__latency_percentiles, config__notify_events,
    config__oom_values, config__output_limits, config__replicaof, config__save, config__shards,
    config__shard_threads;
/* The classes' names in client-output-buffer-limit, as it is rewritten. */
extern const char *const config__class_names[CLIENT_CLASSES];

#endif
