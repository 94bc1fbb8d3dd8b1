/* cmd_stream.c - adding, deleting, trimming and ranges of stream entries; what the other files of
 * the stream commands share. */
#include "core/cmd_stream.h"

#include "core/mem.h"
#include "core/pause.h"
#include <errno.h>
#include <stdlib.h>

enum {
    ID_BYTES_MAX = 127,         /* longer arguments are no ids */
    TRIM_NODES_DEFAULT = 100,   /* nodes' worth of entries that an approximate trim deletes … */
    TRIM_LIMIT_DEFAULT = 10000, /* … when nodes have no limit of entries … */
    TRIM_LIMIT_MAX = 1000000,   /* … and never more than this, unless LIMIT says so */
};

struct stream *stream__read(struct call *c, const struct key *k, bool *bad)
{
    const struct entry *e = key_read_type(c, k, TYPE_STREAM, bad);
    return e && !*bad ? entry_object(e) : NULL;
}

struct stream *stream__write(struct call *c, const struct key *k, bool *bad)
{
    const struct entry *e = key_write_type(c, k, TYPE_STREAM, bad);
    return e && !*bad ? entry_object(e) : NULL;
}

/* --- ids --- */

/* A number as Redis reads the parts of ids: more forgiving than other arguments ("007"). */
static bool parse_part(const char *s, uint64_t *out)
{
    int64_t v;
    if (num_parse_int(s, strlen(s), &v)) {
        *out = (uint64_t)v;
        return v >= 0;
    }
    char *end;
    errno = 0;
    *out = strtoull(s, &end, 10);
    return errno == 0 && *s != '\0' && *end == '\0';
}

bool stream__parse_id(struct slice arg, uint64_t missing_seq, bool strict, struct stream_id *id,
                      bool *seq_given)
{
    char text[ID_BYTES_MAX + 1];
    if (arg.len > ID_BYTES_MAX) {
        return false;
    }
    memcpy(text, arg.ptr, arg.len);
    text[arg.len] = '\0';
    if (seq_given) {
        *seq_given = true;
    }
    const bool least = strcmp(text, "-") == 0;
    if (least || strcmp(text, "+") == 0) {
        *id = least ? STREAM_ID_MIN : STREAM_ID_MAX;
        return !strict;
    }
    char *seq = strchr(text, '-');
    if (seq) {
        *seq++ = '\0';
    }
    if (!parse_part(text, &id->ms)) {
        return false;
    }
    id->seq = missing_seq;
    if (seq && seq_given && strcmp(seq, "*") == 0) {
        id->seq = 0;
        *seq_given = false;
        return true;
    }
    return !seq || parse_part(seq, &id->seq);
}

void stream__error_id(struct call *c)
{
    reply_error(c->out, "ERR Invalid stream ID specified as stream command argument");
}

bool stream__arg_id(struct call *c, uint32_t i, struct stream_id *id)
{
    if (!stream__parse_id(c->argv[i], 0, true, id, NULL)) {
        stream__error_id(c);
        return false;
    }
    return true;
}

struct stream_id *stream__arg_ids(struct call *c, uint32_t from, uint32_t to)
{
    struct stream_id *ids = mem_alloc((to - from) * sizeof ids[0] + 1);
    for (uint32_t i = from; i < to; i++) {
        if (!stream__arg_id(c, i, &ids[i - from])) {
            mem_free(ids);
            return NULL;
        }
    }
    return ids;
}

static bool parse_bound(struct call *c, uint32_t i, uint64_t missing_seq, struct stream_id *id,
                        bool *excluded)
{
    struct slice arg = c->argv[i];
    *excluded = arg.len > 1 && arg.ptr[0] == '(';
    if (*excluded) {
        arg = slice_of(arg.ptr + 1, arg.len - 1);
    }
    if (!stream__parse_id(arg, missing_seq, *excluded, id, NULL)) {
        stream__error_id(c);
        return false;
    }
    return true;
}

bool stream__arg_start(struct call *c, uint32_t i, struct stream_id *id)
{
    bool excluded;
    if (!parse_bound(c, i, 0, id, &excluded)) {
        return false;
    }
    if (excluded && !stream_id_next(id)) {
        reply_error(c->out, "ERR invalid start ID for the interval");
        return false;
    }
    return true;
}

bool stream__arg_end(struct call *c, uint32_t i, struct stream_id *id)
{
    bool excluded;
    if (!parse_bound(c, i, UINT64_MAX, id, &excluded)) {
        return false;
    }
    if (excluded && !stream_id_prev(id)) {
        reply_error(c->out, "ERR invalid end ID for the interval");
        return false;
    }
    return true;
}

/* --- replies --- */

void stream__reply_id(struct reply *out, struct stream_id id)
{
    char text[STREAM_ID_CHARS];
    reply_bulk(out, text, stream_id_format(text, id));
}

void stream__reply_entry(struct reply *out, struct stream_iter *it)
{
    reply_array(out, 2);
    stream__reply_id(out, it->entry.id);
    reply_array(out, (size_t)it->entry.fields * 2);
    for (int64_t i = 0; i < it->entry.fields; i++) {
        struct slice pair[2];
        char buf[2][NUM_INT_CHARS];
        stream_iter_pair(it, pair, buf);
        reply_bulk(out, pair[0].ptr, pair[0].len);
        reply_bulk(out, pair[1].ptr, pair[1].len);
    }
}

bool stream__reply_one(struct reply *out, const struct stream *s, struct stream_id id)
{
    struct stream_iter it;
    stream_iter_init(&it, s, id, id, false);
    if (!stream_iter_next(&it)) {
        return false;
    }
    stream__reply_entry(out, &it);
    return true;
}

/* --- XADD, XTRIM --- */

struct add_options {
    struct stream_trim trim;
    struct stream_id id;
    uint32_t id_at; /* XADD: where the id stands, argc when nowhere */
    bool auto_id, seq_given, no_mkstream;
};

/* MAXLEN or MINID with its threshold, from argv[*i] on. */
static bool parse_threshold(struct call *c, uint32_t *i, struct stream_trim *trim)
{
    const bool maxlen = slice_is(c->argv[*i], "maxlen");
    if (trim->strategy != STREAM_TRIM_NONE) {
        reply_error(c->out, "ERR syntax error, MAXLEN and MINID options at the same time are not "
                            "compatible");
        return false;
    }
    ++*i;
    const bool approx = slice_is(c->argv[*i], "~");
    if (*i + 1 < c->argc && (approx || slice_is(c->argv[*i], "="))) {
        trim->approx = approx;
        ++*i;
    }
    if (!maxlen) {
        trim->strategy = STREAM_TRIM_MINID;
        return stream__arg_id(c, *i, &trim->minid);
    }
    trim->strategy = STREAM_TRIM_MAXLEN;
    if (!call_arg_int(c, *i, &trim->maxlen)) {
        return false;
    }
    if (trim->maxlen < 0) {
        reply_error(c->out, "ERR The MAXLEN argument must be >= 0.");
        return false;
    }
    return true;
}

static bool parse_limit(struct call *c, uint32_t i, int64_t *limit)
{
    if (!call_arg_int(c, i, limit)) {
        return false;
    }
    if (*limit < 0) {
        reply_error(c->out, "ERR The LIMIT argument must be >= 0.");
        return false;
    }
    return true;
}

/* An approximate trim without LIMIT does a bounded amount of work all the same. */
static int64_t limit_default(const struct settings *settings)
{
    const int64_t entries = settings->stream_node_max_entries;
    if (entries <= 0) {
        return TRIM_LIMIT_DEFAULT;
    }
    return entries > TRIM_LIMIT_MAX / TRIM_NODES_DEFAULT ? TRIM_LIMIT_MAX
                                                         : entries * TRIM_NODES_DEFAULT;
}

static bool check_trim(struct call *c, struct stream_trim *trim, bool adding, bool limit_given)
{
    if (trim->limit && trim->strategy == STREAM_TRIM_NONE) {
        reply_error(c->out, "ERR syntax error, LIMIT cannot be used without specifying a trimming "
                            "strategy");
        return false;
    }
    if (!adding && trim->strategy == STREAM_TRIM_NONE) {
        reply_error(c->out, "ERR syntax error, XTRIM must be called with a trimming strategy");
        return false;
    }
    if (c->flags & CALL_FROM_MASTER) {
        trim->limit = 0; /* the master has decided how much goes */
    } else if (!limit_given) {
        trim->limit = trim->approx ? limit_default(c->ks->settings) : 0;
    } else if (!trim->approx) {
        reply_error(c->out, "ERR syntax error, LIMIT cannot be used without the special ~ option");
        return false;
    }
    return true;
}

static bool parse_add_options(struct call *c, struct add_options *o, bool adding)
{
    bool limit_given = false;
    uint32_t i = 2;
    *o = (struct add_options){.seq_given = true};
    for (; i < c->argc; i++) {
        const struct slice option = c->argv[i];
        const bool has_value = i + 1 < c->argc;
        bool good = true;
        if (adding && slice_is(option, "*")) {
            o->auto_id = true;
            break;
        }
        if (has_value && (slice_is(option, "maxlen") || slice_is(option, "minid"))) {
            good = parse_threshold(c, &i, &o->trim);
        } else if (has_value && slice_is(option, "limit")) {
            good = parse_limit(c, ++i, &o->trim.limit);
            limit_given = true;
        } else if (adding && slice_is(option, "nomkstream")) {
            o->no_mkstream = true;
        } else if (adding) {
            if (stream__parse_id(option, 0, true, &o->id, &o->seq_given)) {
                break;
            }
            stream__error_id(c);
            good = false;
        } else {
            call_error_syntax(c);
            good = false;
        }
        if (!good) {
            return false;
        }
    }
    o->id_at = i;
    return check_trim(c, &o->trim, adding, limit_given);
}

/* The id that the entry gets; replies and returns false when there is none. */
static bool choose_id(struct call *c, const struct stream *s, const struct add_options *o,
                      struct stream_id *id)
{
    const struct stream_id last = s ? s->last_id : STREAM_ID_MIN;
    if (stream_id_compare(last, STREAM_ID_MAX) == 0) {
        reply_error(c->out, "ERR The stream has exhausted the last possible ID, unable to add more "
                            "items");
        return false;
    }
    *id = o->id;
    if (o->auto_id) {
        *id = s ? stream_next_id(s, c->now_ms) : (struct stream_id){(uint64_t)c->now_ms, 0};
    } else if (!o->seq_given && last.ms == o->id.ms) {
        id->seq = last.seq + 1; /* 0 when it has come to its end: refused below */
    }
    if (stream_id_compare(*id, last) <= 0) {
        reply_error(c->out, "ERR The ID specified in XADD is equal or smaller than the target "
                            "stream top item");
        return false;
    }
    return true;
}

static bool fits_node(struct call *c, const struct slice *pairs, int64_t fields)
{
    size_t bytes = 0;
    for (int64_t i = 0; i < 2 * fields; i++) {
        bytes += pairs[i].len;
    }
    if (bytes > STREAM_NODE_MAX_BYTES) {
        reply_error(c->out, "ERR Elements are too large to be stored");
        return false;
    }
    return true;
}

void stream__xadd(struct call *c)
{
    const struct key *k = &c->keys[0];
    struct add_options o;
    if (!parse_add_options(c, &o, true)) {
        return;
    }
    const uint32_t words = c->argc - (o.id_at < c->argc ? o.id_at + 1 : c->argc);
    if (words < 2 || words % 2 != 0) {
        call_error_arity(c);
        return;
    }
    if (!o.auto_id && o.seq_given && o.id.ms == 0 && o.id.seq == 0) {
        reply_error(c->out, "ERR The ID specified in XADD must be greater than 0-0");
        return;
    }
    bool bad = false;
    struct stream *s = stream__write(c, k, &bad);
    if (bad) {
        return;
    }
    if (!s && o.no_mkstream) {
        reply_null(c->out);
        return;
    }
    const struct slice *pairs = c->argv + o.id_at + 1;
    struct stream_id id;
    if (!choose_id(c, s, &o, &id) || !fits_node(c, pairs, words / 2)) {
        return;
    }
    if (!s) {
        s = stream_new();
        key_set_object(c, k, NULL, TYPE_STREAM, ENC_TREE, s, false);
    }
    stream_add(s, c->ks->settings, id, pairs, words / 2);
    stream__reply_id(c->out, id);
    key_modified(c, k, 1);
    key_event(c, EVENT_STREAM, "xadd", k);
    if (o.trim.strategy != STREAM_TRIM_NONE && stream_trim(s, &o.trim) > 0) {
        key_event(c, EVENT_STREAM, "xtrim", k);
    }
}

void stream__xtrim(struct call *c)
{
    const struct key *k = &c->keys[0];
    struct add_options o;
    if (!parse_add_options(c, &o, false)) {
        return;
    }
    bool bad = false;
    struct stream *s = stream__write(c, k, &bad);
    if (bad) {
        return;
    }
    const int64_t deleted = s ? stream_trim(s, &o.trim) : 0;
    if (deleted > 0) {
        key_modified(c, k, (uint64_t)deleted);
        key_event(c, EVENT_STREAM, "xtrim", k);
    }
    reply_int(c->out, deleted);
}

/* --- XLEN, XRANGE, XREVRANGE --- */

void stream__xlen(struct call *c)
{
    bool bad = false;
    const struct stream *s = stream__read(c, &c->keys[0], &bad);
    if (!bad) {
        reply_int(c->out, s ? (int64_t)s->length : 0);
    }
}

/* *count: -1 when there is no limit. */
static bool parse_count(struct call *c, int64_t *count)
{
    *count = -1;
    for (uint32_t i = 4; i < c->argc; i += 2) {
        if (!slice_is(c->argv[i], "count") || i + 1 == c->argc) {
            call_error_syntax(c);
            return false;
        }
        if (!call_arg_int(c, i + 1, count)) {
            return false;
        }
        *count = *count < 0 ? 0 : *count;
    }
    return true;
}

static void range(struct call *c, bool reverse)
{
    struct stream_id from, to;
    int64_t count;
    if (!stream__arg_start(c, reverse ? 3 : 2, &from) ||
        !stream__arg_end(c, reverse ? 2 : 3, &to) || !parse_count(c, &count)) {
        return;
    }
    bool bad = false;
    const struct stream *s = stream__read(c, &c->keys[0], &bad);
    if (bad) {
        return;
    }
    if (!s) {
        reply_array(c->out, 0);
        return;
    }
    if (count == 0) {
        reply_null_array(c->out);
        return;
    }
    struct stream_iter it;
    struct reply_mark mark = reply_deferred(c->out);
    int64_t found = 0;
    stream_iter_init(&it, s, from, to, reverse);
    while (found != count && stream_iter_next(&it)) {
        stream__reply_entry(c->out, &it);
        found++;
    }
    reply_deferred_array(c->out, mark, (size_t)found);
}

void stream__xrange(struct call *c)
{
    range(c, false);
}

void stream__xrevrange(struct call *c)
{
    range(c, true);
}

/* --- XDEL --- */

void stream__xdel(struct call *c)
{
    const struct key *k = &c->keys[0];
    bool bad = false;
    struct stream *s = stream__write(c, k, &bad);
    if (bad) {
        return;
    }
    if (!s) {
        reply_int(c->out, 0);
        return;
    }
    struct stream_id *ids = stream__arg_ids(c, 2, c->argc);
    if (!ids) {
        return;
    }
    uint64_t deleted = 0;
    bool first = false;
    for (uint32_t i = 0; i < c->argc - 2; i++) {
        pause_point(1);
        if (stream_delete(s, ids[i])) {
            first = first || stream_id_compare(ids[i], s->first_id) == 0;
            if (stream_id_compare(ids[i], s->max_deleted_id) > 0) {
                s->max_deleted_id = ids[i];
            }
            deleted++;
        }
    }
    mem_free(ids);
    if (first || (deleted > 0 && s->length == 0)) {
        stream_find_first(s);
    }
    if (deleted > 0) {
        key_modified(c, k, deleted);
        key_event(c, EVENT_STREAM, "xdel", k);
    }
    reply_int(c->out, (int64_t)deleted);
}

/* --- XSETID --- */

struct setid_options {
    struct stream_id id, max_deleted_id;
    int64_t entries_added; /* -1: not given */
};

static bool parse_setid(struct call *c, struct setid_options *o)
{
    *o = (struct setid_options){.entries_added = -1};
    if (!stream__arg_id(c, 2, &o->id)) {
        return false;
    }
    for (uint32_t i = 3; i < c->argc; i += 2) {
        const bool has_value = i + 1 < c->argc;
        if (has_value && slice_is(c->argv[i], "entriesadded")) {
            if (!call_arg_int(c, i + 1, &o->entries_added)) {
                return false;
            }
            if (o->entries_added < 0) {
                reply_error(c->out, "ERR entries_added must be positive");
                return false;
            }
        } else if (has_value && slice_is(c->argv[i], "maxdeletedid")) {
            if (!stream__arg_id(c, i + 1, &o->max_deleted_id)) {
                return false;
            }
            if (stream_id_compare(o->id, o->max_deleted_id) < 0) {
                reply_error(c->out, "ERR The ID specified in XSETID is smaller than the provided "
                                    "max_deleted_entry_id");
                return false;
            }
        } else {
            call_error_syntax(c);
            return false;
        }
    }
    return true;
}

void stream__xsetid(struct call *c)
{
    const struct key *k = &c->keys[0];
    struct setid_options o;
    if (!parse_setid(c, &o)) {
        return;
    }
    bool bad = false;
    struct stream *s = stream__write(c, k, &bad);
    if (bad) {
        return;
    }
    if (!s) {
        call_error_no_key(c);
        return;
    }
    if (s->length > 0 && stream_id_compare(o.id, stream_last_live(s)) < 0) { /* S2 */
        reply_error(c->out, "ERR The ID specified in XSETID is smaller than the target stream top "
                            "item");
        return;
    }
    if (s->length > 0 && o.entries_added != -1 && s->length > (uint64_t)o.entries_added) {
        reply_error(c->out, "ERR The entries_added specified in XSETID is smaller than the target "
                            "stream length");
        return;
    }
    s->last_id = o.id;
    if (o.entries_added != -1) {
        s->entries_added = (uint64_t)o.entries_added;
    }
    if (o.max_deleted_id.ms || o.max_deleted_id.seq) {
        s->max_deleted_id = o.max_deleted_id;
    }
    reply_ok(c->out);
    key_modified(c, k, 1);
    key_event(c, EVENT_STREAM, "xsetid", k);
}
