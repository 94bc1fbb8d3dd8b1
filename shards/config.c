/* config.c - a struct config's life, and setting one directive of it.
 *
 * The text of every directive is the truth; fields are what the text says, in the form that code
 * wants. String fields point into the text, so that a copy only has to point them anew
 * (relink_strings). Memory is libc's (mimalloc in release builds): configs are made on the main
 * thread before the shards and their memory counters exist. */
#include "core/num.h"
#include "shards/config_table.h"
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- small helpers of the config_*.c files --------------------------------------------------- */

void *config__alloc(size_t bytes)
{
    void *p = calloc(1, bytes > 0 ? bytes : 1);
    if (p == NULL) {
        log_raw("Out of memory for the configuration\n");
        abort();
    }
    return p;
}

char *config__strdup(const char *s)
{
    const size_t bytes = strlen(s) + 1;
    return memcpy(config__alloc(bytes), s, bytes);
}

void config__append(struct config_text *t, const char *data, size_t len)
{
    if (t->len + len + 1 > t->cap) {
        const size_t cap = (t->len + len + 1) * 2;
        char *bigger = config__alloc(cap);
        if (t->len > 0) {
            memcpy(bigger, t->data, t->len);
        }
        free(t->data);
        t->data = bigger;
        t->cap = cap;
    }
    memcpy(t->data + t->len, data, len);
    t->len += len;
    t->data[t->len] = '\0';
}

void config__append_str(struct config_text *t, const char *s)
{
    config__append(t, s, strlen(s));
}

void config__appendf(struct config_text *t, const char *fmt, ...)
{
    char buf[256]; /* numbers and names; longer texts are appended as strings */
    va_list args;
    va_start(args, fmt);
    const int n = vsnprintf(buf, sizeof(buf), fmt, args);
    va_end(args);
    assert(n >= 0 && (size_t)n < sizeof(buf));
    config__append(t, buf, (size_t)n);
}

void config__append_quoted(struct config_text *t, const char *s, size_t len)
{
    config__append_str(t, "\"");
    for (size_t i = 0; i < len; i++) {
        const unsigned char ch = (unsigned char)s[i];
        static const char plain[] = "\n\r\t\a\b", letters[] = "nrtab";
        const char *special = ch != '\0' ? strchr(plain, ch) : NULL;
        if (ch == '"' || ch == '\\') {
            config__appendf(t, "\\%c", ch);
        } else if (special != NULL) {
            config__appendf(t, "\\%c", letters[special - plain]);
        } else if (ch >= 0x20 && ch < 0x7f) {
            config__append(t, s + i, 1);
        } else {
            config__appendf(t, "\\x%02x", ch);
        }
    }
    config__append_str(t, "\"");
}

char *config__take(struct config_text *t)
{
    char *data = t->data != NULL ? t->data : config__strdup("");
    *t = (struct config_text){0};
    return data;
}

const char *const config__class_names[CLIENT_CLASSES] = {"normal", "replica", "pubsub"};

/* --- life ------------------------------------------------------------------------------------ */

static void relink_string(struct config *c, int row)
{
    const struct config_row *r = &config__rows[row];
    const bool unset = (r->flags & CONFIG_EMPTY_IS_NULL) && c->text_bytes[row] == 0;
    char *text = unset ? NULL : c->text[row];
    if (r->field == CONFIG_FIELD_STRING) {
        *(char **)((char *)c + r->offset) = text;
    } else if (r->field == CONFIG_FIELD_SLICE) {
        *(struct slice *)((char *)c + r->offset) = slice_of(text, c->text_bytes[row]);
    }
}

/* Takes over text. */
static void set_text(struct config *c, int row, char *text, size_t len)
{
    free(c->text[row]);
    c->text[row] = text;
    c->text_bytes[row] = len;
    relink_string(c, row);
}

static char *copy_bytes(const char *s, size_t len)
{
    char *copy = config__alloc(len + 1);
    memcpy(copy, s, len);
    return copy;
}

struct config *config_new(void)
{
    struct config *c = config__alloc(sizeof(*c));
    const int rows = config__row_count();
    c->text = config__alloc(sizeof(char *) * (size_t)rows);
    c->text_bytes = config__alloc(sizeof(size_t) * (size_t)rows);
    c->core.active_expire = true;
    c->initial = true;

    for (int i = 0; i < rows; i++) {
        const struct config_row *row = &config__rows[i];
        char *value = config__strdup(row->initial);
        char err[CONFIG_ERR_BYTES] = "";
        bool ok;
        if (row->flags & CONFIG_MULTI_ARG) {
            int argc;
            char **argv = config__split(value, &argc);
            ok = config__set(c, i, argc, argv, err);
            free(argv);
        } else {
            ok = config__set(c, i, 1, &value, err);
        }
        assert(ok); /* a default that the table itself refuses */
        free(value);
    }
    return c;
}

struct config *config_copy(const struct config *c)
{
    struct config *copy = config__alloc(sizeof(*copy));
    const int rows = config__row_count();
    *copy = *c;
    copy->initial = false;

    copy->text = config__alloc(sizeof(char *) * (size_t)rows);
    copy->text_bytes = config__alloc(sizeof(size_t) * (size_t)rows);
    for (int i = 0; i < rows; i++) {
        set_text(copy, i, copy_bytes(c->text[i], c->text_bytes[i]), c->text_bytes[i]);
    }
    for (int i = 0; i < c->bind_count; i++) {
        copy->bind[i] = config__strdup(c->bind[i]);
    }
    copy->renames = config__alloc(sizeof(*copy->renames) * (size_t)c->rename_count);
    for (int i = 0; i < c->rename_count; i++) {
        copy->renames[i].from = config__strdup(c->renames[i].from);
        copy->renames[i].to = config__strdup(c->renames[i].to);
    }
    copy->file = c->file != NULL ? config__strdup(c->file) : NULL;
    return copy;
}

void config_free(struct config *c)
{
    if (c == NULL) {
        return;
    }
    for (int i = 0; i < config__row_count(); i++) {
        free(c->text[i]);
    }
    free(c->text);
    free(c->text_bytes);
    for (int i = 0; i < c->bind_count; i++) {
        free(c->bind[i]);
    }
    for (int i = 0; i < c->rename_count; i++) {
        free(c->renames[i].from);
        free(c->renames[i].to);
    }
    free(c->renames);
    free(c->file);
    free(c);
}

/* --- setting one directive ------------------------------------------------------------------- */

int config_find(struct slice name)
{
    for (int i = 0; i < config__row_count(); i++) {
        const struct config_row *row = &config__rows[i];
        if (slice_is(name, row->name) || (row->alias != NULL && slice_is(name, row->alias))) {
            return i;
        }
    }
    return -1;
}

bool config_is_sensitive(struct slice name)
{
    const int row = config_find(name);
    return row >= 0 && (config__rows[row].flags & CONFIG_SENSITIVE);
}

static void store_number(struct config *c, const struct config_row *row, int64_t v)
{
    char *field = (char *)c + row->offset;
    switch (row->field) {
    case CONFIG_FIELD_BOOL:
        *(bool *)field = v != 0;
        break;
    case CONFIG_FIELD_INT:
        *(int *)field = v > INT_MAX ? INT_MAX : (int)v;
        break;
    case CONFIG_FIELD_INT64:
        *(int64_t *)field = v;
        break;
    case CONFIG_NO_FIELD:
    case CONFIG_FIELD_STRING:
    case CONFIG_FIELD_SLICE:
        break;
    }
}

static bool parse_enum(const struct config_row *row, int argc, char **argv, int64_t *out,
                       char err[CONFIG_ERR_BYTES])
{
    bool ok = argc > 0;
    *out = 0;
    for (int i = 0; ok && i < argc; i++) {
        const struct config_enum *e = row->values;
        while (e->name != NULL && strcasecmp(e->name, argv[i]) != 0) {
            e++;
        }
        ok = e->name != NULL;
        *out |= e->name != NULL ? e->value : 0;
    }
    if (ok) {
        return true;
    }
    size_t at = (size_t)snprintf(err, CONFIG_ERR_BYTES, "argument(s) must be one of the following: ");
    for (const struct config_enum *e = row->values; e->name != NULL; e++) {
        at += (size_t)snprintf(err + at, CONFIG_ERR_BYTES - at, "%s%s", e == row->values ? "" : ", ",
                               e->name);
        assert(at < CONFIG_ERR_BYTES);
    }
    return false;
}

/* The names of an enumeration's value; several where the values are flags. */
static char *format_enum(const struct config_row *row, int64_t value)
{
    const char *whole = config__enum_name(row->values, (int)value);
    struct config_text t = {0};
    if (!(row->flags & CONFIG_MULTI_ARG) || strcmp(whole, "unknown") != 0) {
        return config__strdup(whole);
    }
    for (const struct config_enum *e = row->values; e->name != NULL; e++) {
        if (e->value != 0 && (value & e->value) == e->value) {
            config__appendf(&t, "%s%s", t.len > 0 ? " " : "", e->name);
            value &= ~(int64_t)e->value;
        }
    }
    return config__take(&t);
}

static bool parse_int(const struct config_row *row, const char *text, int64_t *out,
                      char err[CONFIG_ERR_BYTES])
{
    const size_t len = strlen(text);
    const char *why;

    if (row->flags & CONFIG_MEMORY) {
        if (len == 0) {
            *out = 0; /* as Redis reads it */
            return true;
        }
        if (text[0] != '-' && num_parse_memory(text, len, out)) {
            return true;
        }
        if ((row->flags & CONFIG_PERCENT) && len > 1 && text[len - 1] == '%' &&
            num_parse_int(text, len - 1, out) && *out >= 0) {
            *out = -*out;
            return true;
        }
        why = row->flags & CONFIG_PERCENT ? "argument must be a memory or percent value"
                                          : "argument must be a memory value";
    } else if (row->flags & CONFIG_OCTAL) {
        char *end;
        errno = 0;
        *out = strtoll(text, &end, 8);
        if (errno == 0 && *end == '\0') {
            return true;
        }
        why = "argument couldn't be parsed as an octal number";
    } else {
        if (num_parse_int(text, len, out)) {
            return true;
        }
        why = "argument couldn't be parsed into an integer";
    }
    snprintf(err, CONFIG_ERR_BYTES, "%s", why);
    return false;
}

static bool check_range(const struct config_row *row, int64_t v, char err[CONFIG_ERR_BYTES])
{
    if ((row->flags & CONFIG_PERCENT) && v < 0) {
        if (v < row->min) {
            snprintf(err, CONFIG_ERR_BYTES, "percentage argument must be less or equal to %lld",
                     (long long)-row->min);
            return false;
        }
        return true;
    }
    if (v >= row->min && v <= row->max) {
        return true;
    }
    snprintf(err, CONFIG_ERR_BYTES,
             row->flags & CONFIG_OCTAL ? "argument must be between %llo and %llo inclusive"
                                       : "argument must be between %lld and %lld inclusive",
             (long long)row->min, (long long)row->max);
    return false;
}

static char *format_int(const struct config_row *row, int64_t v)
{
    struct config_text t = {0};
    if ((row->flags & CONFIG_PERCENT) && v < 0) {
        config__appendf(&t, "%lld%%", (long long)-v);
    } else if (row->flags & CONFIG_OCTAL) {
        config__appendf(&t, "%llo", (unsigned long long)v);
    } else {
        config__appendf(&t, "%lld", (long long)v);
    }
    return config__take(&t);
}

/* Hints that are brought into their range rather than refused, as in Redis. */
enum { HZ_MIN = 1, HZ_MAX = 500, BACKLOG_MIN = 16 * 1024 };

static int64_t clamp(const struct config_row *row, int64_t v)
{
    if (strcmp(row->name, "hz") == 0) {
        return v < HZ_MIN ? HZ_MIN : v > HZ_MAX ? HZ_MAX : v;
    }
    if (strcmp(row->name, "repl-backlog-size") == 0) {
        return v < BACKLOG_MIN ? BACKLOG_MIN : v;
    }
    return v;
}

/* The text of a value that is not special; NULL with err when it is refused. */
static char *set_plain(struct config *c, const struct config_row *row, int argc, char **argv,
                       char err[CONFIG_ERR_BYTES])
{
    int64_t v = 0;
    const char *text = argc > 0 ? argv[0] : "";

    switch (row->type) {
    case CONFIG_BOOL:
        v = strcasecmp(text, "yes") == 0;
        if (!v && strcasecmp(text, "no") != 0) {
            snprintf(err, CONFIG_ERR_BYTES, "argument must be 'yes' or 'no'");
            return NULL;
        }
        break;
    case CONFIG_INT:
        if (!parse_int(row, text, &v, err) || !check_range(row, v, err)) {
            return NULL;
        }
        v = clamp(row, v);
        break;
    case CONFIG_ENUM:
        if (!parse_enum(row, argc, argv, &v, err)) {
            return NULL;
        }
        break;
    case CONFIG_STRING:
    case CONFIG_SPECIAL:
        break;
    }
    if (row->check != NULL && !row->check(text, v, err)) {
        return NULL;
    }
    store_number(c, row, v);
    switch (row->type) {
    case CONFIG_BOOL:
        return config__strdup(v ? "yes" : "no");
    case CONFIG_INT:
        return format_int(row, v);
    case CONFIG_ENUM:
        return format_enum(row, v);
    default:
        return config__strdup(text);
    }
}

bool config__set(struct config *c, int index, int argc, char **argv, char err[CONFIG_ERR_BYTES])
{
    const struct config_row *row = &config__rows[index];
    assert(argc == 1 || (row->flags & CONFIG_MULTI_ARG));

    char *text = row->type == CONFIG_SPECIAL ? row->special(c, argc, argv, err)
                                             : set_plain(c, row, argc, argv, err);
    if (text == NULL) {
        return false;
    }
    set_text(c, index, text, strlen(text));
    return true;
}

void config__set_binary(struct config *c, int row, const char *value, size_t len)
{
    assert(config__rows[row].flags & CONFIG_BINARY);
    set_text(c, row, copy_bytes(value, len), len);
}

/* CONFIG SET gives several arguments as one value; single spaces separate them, none quote. */
static char **split_value(char *value, int *argc)
{
    int n = value[0] != '\0';
    for (const char *p = value; *p != '\0'; p++) {
        n += *p == ' ';
    }
    char **argv = config__alloc(sizeof(char *) * (size_t)(n + 1));
    char *p = value;
    for (int i = 0; i < n; i++) {
        argv[i] = p;
        p = strchrnul(p, ' ');
        if (*p != '\0') {
            *p++ = '\0';
        }
    }
    *argc = n;
    return argv;
}

bool config_set(struct config *c, struct slice name, struct slice value,
                char err[CONFIG_ERR_BYTES])
{
    const int row = config_find(name);
    if (row < 0) {
        snprintf(err, CONFIG_ERR_BYTES, "unknown directive");
        return false;
    }
    if (config__rows[row].flags & CONFIG_BINARY) {
        config__set_binary(c, row, value.ptr, value.len);
        return true;
    }
    if (memchr(value.ptr, '\0', value.len) != NULL) {
        snprintf(err, CONFIG_ERR_BYTES, "argument contains a zero byte");
        return false;
    }
    char *text = copy_bytes(value.ptr, value.len);

    bool ok;
    if (config__rows[row].flags & CONFIG_MULTI_ARG) {
        int argc;
        char **argv = split_value(text, &argc);
        ok = config__set(c, row, argc, argv, err);
        free(argv);
    } else {
        ok = config__set(c, row, 1, &text, err);
    }
    free(text);
    return ok;
}
