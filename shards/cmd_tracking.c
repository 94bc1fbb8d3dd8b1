/* cmd_tracking.c - CLIENT TRACKING, CACHING, TRACKINGINFO, GETREDIR (tracking.h).
 *
 *   TRACKING ON: parse ► broadcast: is REDIRECT's connection there? prefixes ► the connection tracks
 */
#include "core/mem.h"
#include "shards/conn.h"
#include "shards/shard.h"
#include "shards/tracking.h"
#include <string.h>

/* While the shards are asked. */
struct starting {
    struct tracking tracking;
    uint64_t id;
    uint16_t home;
    _Atomic int redirect_home; /* -1: not found */
    bool check_only;           /* first round: nothing changes if the target is not there */
};

static void free_starting(struct starting *st)
{
    struct tracking_prefix *p = st->tracking.prefixes;
    while (p != NULL) {
        struct tracking_prefix *next = p->next;
        mem_free(p);
        p = next;
    }
    mem_free(st);
}

/* --- options ---------------------------------------------------------------------------------- */

static void add_prefix(struct tracking *t, struct slice word)
{
    struct tracking_prefix *p = mem_alloc(sizeof *p + word.len), **end = &t->prefixes;
    p->next = NULL;
    p->len = (uint32_t)word.len;
    memcpy(p->bytes, word.ptr, word.len);
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = p;
}

static bool parse_redirect(struct call *c, struct tracking *t, uint32_t i)
{
    int64_t id;
    if (t->redirect != 0) {
        reply_error(c->out, "ERR A client can only redirect to a single other client");
        return false;
    }
    if (!call_arg_int(c, i, &id)) {
        return false;
    }
    if (id <= 0) {
        reply_error(c->out, "ERR The client ID you want redirect to does not exist");
        return false;
    }
    t->redirect = (uint64_t)id;
    return true;
}

static bool parse_options(struct call *c, struct tracking *t)
{
    for (uint32_t i = 3; i < c->argc; i++) {
        struct slice word = c->argv[i];
        bool more = i + 1 < c->argc;
        if (slice_is(word, "redirect") && more) {
            if (!parse_redirect(c, t, ++i)) {
                return false;
            }
        } else if (slice_is(word, "bcast")) {
            t->flags |= TRACKING_BCAST;
        } else if (slice_is(word, "optin")) {
            t->flags |= TRACKING_OPTIN;
        } else if (slice_is(word, "optout")) {
            t->flags |= TRACKING_OPTOUT;
        } else if (slice_is(word, "noloop")) {
            t->flags |= TRACKING_NOLOOP;
        } else if (slice_is(word, "prefix") && more) {
            add_prefix(t, c->argv[++i]);
        } else {
            call_error_syntax(c);
            return false;
        }
    }
    return true;
}

static bool overlap(const struct tracking_prefix *a, const struct tracking_prefix *b)
{
    return memcmp(a->bytes, b->bytes, a->len < b->len ? a->len : b->len) == 0;
}

/* A key must not be told twice to one connection. */
static bool check_prefixes(struct call *c, const struct tracking *t, const struct tracking *now)
{
    for (const struct tracking_prefix *p = t->prefixes; p != NULL; p = p->next) {
        const struct tracking_prefix *q = now != NULL ? now->prefixes : NULL;
        for (; q != NULL; q = q->next) {
            if (overlap(p, q)) {
                reply_errorf(c->out, "ERR Prefix '%.*s' overlaps with an existing prefix '%.*s'. "
                             "Prefixes for a single client must not overlap.",
                             (int)p->len, p->bytes, (int)q->len, q->bytes);
                return false;
            }
        }
        for (q = p->next; q != NULL; q = q->next) {
            if (overlap(p, q)) {
                reply_errorf(c->out, "ERR Prefix '%.*s' overlaps with another provided prefix "
                             "'%.*s'. Prefixes for a single client must not overlap.",
                             (int)p->len, p->bytes, (int)q->len, q->bytes);
                return false;
            }
        }
    }
    return true;
}

/* NULL when the options go together and with how the connection tracks now. */
static const char *options_error(const struct tracking *t, const struct tracking *now)
{
    const uint32_t opt = TRACKING_OPTIN | TRACKING_OPTOUT;
    if (!(t->flags & TRACKING_BCAST) && t->prefixes != NULL) {
        return "ERR PREFIX option requires BCAST mode to be enabled";
    }
    if (now != NULL && ((now->flags ^ t->flags) & TRACKING_BCAST)) {
        return "ERR You can't switch BCAST mode on/off before disabling tracking for this client, "
               "and then re-enabling it with a different mode.";
    }
    if ((t->flags & TRACKING_BCAST) && (t->flags & opt)) {
        return "ERR OPTIN and OPTOUT are not compatible with BCAST";
    }
    if ((t->flags & opt) == opt) {
        return "ERR You can't specify both OPTIN mode and OPTOUT mode";
    }
    if (now != NULL && (t->flags & opt) && (now->flags & opt) && (t->flags & opt) != (now->flags & opt)) {
        return "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, "
               "and then re-enabling it with a different mode.";
    }
    return NULL;
}

/* --- TRACKING ---------------------------------------------------------------------------------- */

static void start_part(struct shard *s, void *ctx)
{
    struct starting *st = ctx;
    if (st->tracking.redirect != 0) {
        struct conn *target = conn_by_id(s, st->tracking.redirect);
        if (target != NULL && !(target->flags & CONN_CLOSING)) {
            target->flags |= CONN_TRACKING_TARGET;
            atomic_store_explicit(&st->redirect_home, (int)s->id, memory_order_relaxed);
        }
    }
    if (!st->check_only) {
        tracking__join(s, st->id, st->home, &st->tracking);
    }
}

static void start_done(struct call *c, void *ctx)
{
    struct starting *st = ctx;
    struct conn *conn = call_conn(c);
    int home = atomic_load_explicit(&st->redirect_home, memory_order_relaxed);
    if (st->tracking.redirect != 0 && home < 0) {
        reply_error(c->out, "ERR The client ID you want redirect to does not exist");
        free_starting(st);
        return;
    }
    if (st->check_only && st->tracking.prefixes != NULL) {
        st->check_only = false; /* the target is there: now the prefixes */
        broadcast(c, start_part, start_done, st);
        return;
    }
    st->tracking.redirect_home = home < 0 ? 0 : (uint16_t)home;
    tracking_start(conn, &st->tracking);
    st->tracking.prefixes = NULL; /* taken over */
    if (conn->flags & CONN_CLOSING) {
        tracking_stop(conn);
    }
    free_starting(st);
    reply_ok(c->out);
}

static void start(struct call *c, struct starting *st)
{
    struct conn *conn = call_conn(c);
    const char *error = options_error(&st->tracking, conn->tracking);
    if (error != NULL) {
        reply_error(c->out, error);
        free_starting(st);
        return;
    }
    if (!check_prefixes(c, &st->tracking, conn->tracking)) {
        free_starting(st);
        return;
    }
    if ((st->tracking.flags & TRACKING_BCAST) && st->tracking.prefixes == NULL) {
        add_prefix(&st->tracking, slice_str(""));
    }
    if (st->tracking.redirect == 0 && st->tracking.prefixes == NULL) {
        start_done(c, st);
        return;
    }
    st->check_only = st->tracking.redirect != 0;
    broadcast(c, start_part, start_done, st);
}

void tracking__tracking(struct call *c)
{
    struct conn *conn = call_conn(c);
    struct starting *st = mem_alloc_zero(sizeof *st);
    st->id = conn->id;
    st->home = (uint16_t)conn->shard->id;
    atomic_init(&st->redirect_home, -1);
    if (!parse_options(c, &st->tracking)) {
        free_starting(st);
        return;
    }
    if (slice_is(c->argv[2], "on")) {
        start(c, st);
        return;
    }
    free_starting(st);
    if (slice_is(c->argv[2], "off")) {
        tracking_stop(conn);
        reply_ok(c->out);
    } else {
        call_error_syntax(c);
    }
}

/* --- the others -------------------------------------------------------------------------------- */

void tracking__caching(struct call *c)
{
    struct tracking *t = call_conn(c)->tracking;
    if (t == NULL) {
        reply_error(c->out, "ERR CLIENT CACHING can be called only when the client is in tracking "
                            "mode with OPTIN or OPTOUT mode enabled");
        return;
    }
    bool yes = slice_is(c->argv[2], "yes");
    if (!yes && !slice_is(c->argv[2], "no")) {
        call_error_syntax(c);
        return;
    }
    if (!(t->flags & (yes ? TRACKING_OPTIN : TRACKING_OPTOUT))) {
        reply_error(c->out, yes ? "ERR CLIENT CACHING YES is only valid when tracking is enabled in "
                                  "OPTIN mode."
                                : "ERR CLIENT CACHING NO is only valid when tracking is enabled in "
                                  "OPTOUT mode.");
        return;
    }
    t->flags |= TRACKING_CACHING;
    reply_ok(c->out);
}

void tracking__getredir(struct call *c)
{
    const struct tracking *t = call_conn(c)->tracking;
    reply_int(c->out, t != NULL ? (int64_t)t->redirect : -1);
}

/* At most one word for each flag. */
static size_t flag_words(const struct tracking *t, const char *words[8])
{
    size_t n = 0;
    bool caching = t != NULL && (t->flags & TRACKING_CACHING);
    words[n++] = t != NULL ? "on" : "off";
    if (t == NULL) {
        return n;
    }
    if (t->flags & TRACKING_BCAST) {
        words[n++] = "bcast";
    }
    if (t->flags & TRACKING_OPTIN) {
        words[n++] = "optin";
        if (caching) {
            words[n++] = "caching-yes";
        }
    }
    if (t->flags & TRACKING_OPTOUT) {
        words[n++] = "optout";
        if (caching) {
            words[n++] = "caching-no";
        }
    }
    if (t->flags & TRACKING_NOLOOP) {
        words[n++] = "noloop";
    }
    if (t->flags & TRACKING_BROKEN) {
        words[n++] = "broken_redirect";
    }
    return n;
}

void tracking__info(struct call *c)
{
    const struct tracking *t = call_conn(c)->tracking;
    const char *words[8];
    size_t n = flag_words(t, words), prefixes = 0;
    reply_map(c->out, 3);
    reply_bulk_str(c->out, "flags");
    reply_set(c->out, n);
    for (size_t i = 0; i < n; i++) {
        reply_bulk_str(c->out, words[i]);
    }
    reply_bulk_str(c->out, "redirect");
    reply_int(c->out, t != NULL ? (int64_t)t->redirect : -1);
    reply_bulk_str(c->out, "prefixes");
    for (const struct tracking_prefix *p = t != NULL ? t->prefixes : NULL; p; p = p->next) {
        prefixes++;
    }
    reply_array(c->out, prefixes);
    for (const struct tracking_prefix *p = t != NULL ? t->prefixes : NULL; p; p = p->next) {
        reply_bulk(c->out, p->bytes, p->len);
    }
}
