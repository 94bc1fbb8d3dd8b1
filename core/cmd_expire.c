/* cmd_expire.c - when keys go: EXPIRE and its kin, TTL and its kin, PERSIST.
 *
 * All times are kept as absolute unix time in milliseconds; relative ones count from c->now_ms,
 * the moment at which the command happens. A time that has come already deletes the key at once,
 * except where a master decides what expires (CALL_FROM_MASTER). */
#include "core/cmd_generic.h"

enum expire_condition {
    EXPIRE_NX = 1 << 0, /* only a key without expiry */
    EXPIRE_XX = 1 << 1, /* only a key with one */
    EXPIRE_GT = 1 << 2, /* only to a later time; no expiry counts as never */
    EXPIRE_LT = 1 << 3, /* only to an earlier time */
};

enum expire_unit { UNIT_MS = 1, UNIT_S = 1000 };

/* --- EXPIRE, PEXPIRE, EXPIREAT, PEXPIREAT --- */

static bool parse_conditions(struct call *c, unsigned *conditions)
{
    *conditions = 0;
    for (uint32_t i = 3; i < c->argc; i++) {
        const struct slice option = c->argv[i];
        if (slice_is(option, "nx")) {
            *conditions |= EXPIRE_NX;
        } else if (slice_is(option, "xx")) {
            *conditions |= EXPIRE_XX;
        } else if (slice_is(option, "gt")) {
            *conditions |= EXPIRE_GT;
        } else if (slice_is(option, "lt")) {
            *conditions |= EXPIRE_LT;
        } else {
            const size_t len = strnlen(option.ptr, option.len);
            reply_errorf(c->out, "ERR Unsupported option %.*s", (int)len, option.ptr);
            return false;
        }
    }
    if ((*conditions & EXPIRE_NX) && (*conditions & ~(unsigned)EXPIRE_NX)) {
        reply_error(c->out, "ERR NX and XX, GT or LT options at the same time are not compatible");
        return false;
    }
    if ((*conditions & EXPIRE_GT) && (*conditions & EXPIRE_LT)) {
        reply_error(c->out, "ERR GT and LT options at the same time are not compatible");
        return false;
    }
    return true;
}

/* argv[2] as absolute milliseconds; replies and returns false when it is no number or too far. */
static bool parse_time(struct call *c, enum expire_unit unit, int64_t base_ms, int64_t *at_ms)
{
    int64_t t;
    if (!call_arg_int(c, 2, &t)) {
        return false;
    }
    if (__builtin_mul_overflow(t, (int64_t)unit, &t) || t > INT64_MAX - base_ms) {
        call_error_expire(c);
        return false;
    }
    *at_ms = t + base_ms;
    return true;
}

static bool conditions_hold(unsigned conditions, int64_t current_ms, int64_t at_ms)
{
    const bool expires = current_ms != -1;
    if ((conditions & EXPIRE_NX) && expires) {
        return false;
    }
    if ((conditions & EXPIRE_XX) && !expires) {
        return false;
    }
    if ((conditions & EXPIRE_GT) && (!expires || at_ms <= current_ms)) {
        return false;
    }
    return !((conditions & EXPIRE_LT) && expires && at_ms >= current_ms);
}

static void expire(struct call *c, enum expire_unit unit, int64_t base_ms)
{
    const struct key *k = &c->keys[0];
    unsigned conditions;
    int64_t at_ms;
    if (!parse_conditions(c, &conditions) || !parse_time(c, unit, base_ms, &at_ms)) {
        return;
    }
    struct entry *e = key_write(c, k);
    if (!e || !conditions_hold(conditions, entry_expiry_ms(e), at_ms)) {
        reply_int(c->out, 0);
        return;
    }
    if (at_ms <= c->now_ms && !(c->flags & CALL_FROM_MASTER)) {
        key_delete(c, k, e);
        key_modified(c, k, 1);
        key_event(c, EVENT_GENERIC, "del", k);
    } else {
        key_set_expiry(c, k, e, at_ms);
        key_modified(c, k, 1);
        key_event(c, EVENT_GENERIC, "expire", k);
    }
    reply_int(c->out, 1);
}

void cmd_expire(struct call *c)
{
    expire(c, UNIT_S, c->now_ms);
}

void cmd_pexpire(struct call *c)
{
    expire(c, UNIT_MS, c->now_ms);
}

void cmd_expireat(struct call *c)
{
    expire(c, UNIT_S, 0);
}

void cmd_pexpireat(struct call *c)
{
    expire(c, UNIT_MS, 0);
}

/* --- TTL, PTTL, EXPIRETIME, PEXPIRETIME --- */

static void reply_expiry(struct call *c, enum expire_unit unit, int64_t base_ms)
{
    const struct entry *e = cmd__read_untouched(c, &c->keys[0]);
    if (!e) {
        reply_int(c->out, -2);
        return;
    }
    int64_t at_ms = entry_expiry_ms(e);
    if (at_ms == -1) {
        reply_int(c->out, -1);
        return;
    }
    at_ms = at_ms > base_ms ? at_ms - base_ms : 0;
    if (unit == UNIT_S) { /* to the nearest second; halves added apart, as the sum could overflow */
        at_ms = at_ms / UNIT_S + (at_ms % UNIT_S >= UNIT_S / 2);
    }
    reply_int(c->out, at_ms);
}

void cmd_ttl(struct call *c)
{
    reply_expiry(c, UNIT_S, c->now_ms);
}

void cmd_pttl(struct call *c)
{
    reply_expiry(c, UNIT_MS, c->now_ms);
}

void cmd_expiretime(struct call *c)
{
    reply_expiry(c, UNIT_S, 0);
}

void cmd_pexpiretime(struct call *c)
{
    reply_expiry(c, UNIT_MS, 0);
}

/* --- PERSIST --- */

void cmd_persist(struct call *c)
{
    const struct key *k = &c->keys[0];
    struct entry *e = key_write(c, k);
    if (!e || !(e->flags & ENTRY_EXPIRES)) {
        reply_int(c->out, 0);
        return;
    }
    key_clear_expiry(c, k, e);
    key_modified(c, k, 1);
    key_event(c, EVENT_GENERIC, "persist", k);
    reply_int(c->out, 1);
}
