/* cmd_serial.c - DUMP and RESTORE: a value as bytes, and back (serial.h). */
#include "core/cmd_generic.h"
#include "core/mem.h"
#include "core/serial.h"

enum {
    FREQ_MAX = 255,
    BY_REFERENCE_BYTES = 65536, /* what is longer is sent from where it lies */
};

/* --- DUMP --- */

void cmd_dump(struct call *c)
{
    const struct entry *e = key_read(c, &c->keys[0]);
    if (!e) {
        reply_null(c->out);
        return;
    }
    struct bytes payload = {0};
    serial_dump(&payload, e, c->ks->settings);
    if (payload.len < BY_REFERENCE_BYTES) {
        reply_bulk(c->out, payload.data, payload.len);
        bytes_free(&payload);
    } else {
        reply_bulk_ref(c->out, payload.data, payload.len, mem_free, payload.data);
    }
}

/* --- RESTORE --- */

struct restore_options {
    bool replace, ttl_is_absolute;
    int64_t idle_s, freq; /* -1: not given; one of them at most */
};

static bool parse_idle(struct call *c, uint32_t i, int64_t *idle_s)
{
    if (!call_arg_int(c, i, idle_s)) {
        return false;
    }
    if (*idle_s < 0) {
        reply_error(c->out, "ERR Invalid IDLETIME value, must be >= 0");
        return false;
    }
    return true;
}

static bool parse_freq(struct call *c, uint32_t i, int64_t *freq)
{
    if (!call_arg_int(c, i, freq)) {
        return false;
    }
    if (*freq < 0 || *freq > FREQ_MAX) {
        reply_error(c->out, "ERR Invalid FREQ value, must be >= 0 and <= 255");
        return false;
    }
    return true;
}

static bool parse_restore_options(struct call *c, struct restore_options *o)
{
    *o = (struct restore_options){.idle_s = -1, .freq = -1};
    for (uint32_t i = 4; i < c->argc; i++) {
        const struct slice option = c->argv[i];
        const bool has_value = i + 1 < c->argc;
        bool good = true;
        if (slice_is(option, "replace")) {
            o->replace = true;
        } else if (slice_is(option, "absttl")) {
            o->ttl_is_absolute = true;
        } else if (has_value && o->freq == -1 && slice_is(option, "idletime")) {
            good = parse_idle(c, ++i, &o->idle_s);
        } else if (has_value && o->idle_s == -1 && slice_is(option, "freq")) {
            good = parse_freq(c, ++i, &o->freq);
        } else {
            call_error_syntax(c);
            good = false;
        }
        if (!good) {
            return false;
        }
    }
    return true;
}

static bool load_payload(struct call *c, struct serial_loaded *value)
{
    switch (serial_load_dump(c->argv[3], c->ks->settings, value)) {
    case SERIAL_OK:
        return true;
    case SERIAL_BAD_FOOTER:
        reply_error(c->out, "ERR DUMP payload version or checksum are wrong");
        return false;
    case SERIAL_BAD_DATA:
        break;
    }
    reply_error(c->out, "ERR Bad data format");
    return false;
}

/* Stores a loaded value under a key that is absent; the value is used up. */
static struct entry *store_value(struct call *c, const struct key *k, struct serial_loaded *value)
{
    if (value->type != TYPE_STRING) {
        return key_set_object(c, k, NULL, value->type, value->encoding, value->object, false);
    }
    if (value->encoding == ENC_INT) {
        return key_set_int(c, k, NULL, value->integer, false);
    }
    if (value->blob->len > ENTRY_INLINE_MAX) {
        return key_set_blob(c, k, NULL, value->blob, false);
    }
    struct entry *e =
        key_set_string(c, k, NULL, slice_of(value->blob->data, value->blob->len), false);
    blob_release(value->blob);
    return e;
}

static void set_access(struct call *c, struct entry *e, const struct restore_options *o)
{
    if (settings_use_lfu(c->ks->settings)) {
        if (o->freq >= 0) {
            entry_set_lfu(e, (uint8_t)o->freq, c->now_ms);
        }
    } else if (o->idle_s >= 0) {
        entry_set_idle_s(e, o->idle_s, c->now_ms);
    }
}

void cmd_restore(struct call *c)
{
    const struct key *k = &c->keys[0];
    struct restore_options o;
    if (!parse_restore_options(c, &o)) {
        return;
    }
    struct entry *present = key_write(c, k);
    if (present && !o.replace) {
        reply_error(c->out, "BUSYKEY Target key name already exists.");
        return;
    }
    int64_t at_ms;
    if (!call_arg_int(c, 2, &at_ms)) {
        return;
    }
    if (at_ms < 0) {
        reply_error(c->out, "ERR Invalid TTL value, must be >= 0");
        return;
    }
    struct serial_loaded value;
    if (!load_payload(c, &value)) {
        return;
    }
    if (present) {
        key_delete(c, k, present);
    }
    const bool expires = at_ms != 0;
    if (expires && !o.ttl_is_absolute && __builtin_add_overflow(at_ms, c->now_ms, &at_ms)) {
        at_ms = INT64_MAX;
    }
    if (expires && at_ms <= c->now_ms && !(c->flags & CALL_FROM_MASTER)) {
        serial_loaded_free(&value);
        if (present) {
            key_modified(c, k, 1);
            key_event(c, EVENT_GENERIC, "del", k);
        }
        reply_ok(c->out);
        return;
    }
    struct entry *e = store_value(c, k, &value);
    if (expires) {
        e = key_set_expiry(c, k, e, at_ms);
    }
    set_access(c, e, &o);
    key_modified(c, k, 1);
    key_event(c, EVENT_GENERIC, "restore", k);
    reply_ok(c->out);
}
