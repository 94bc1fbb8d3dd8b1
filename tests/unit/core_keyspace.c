/* core_keyspace.c - the keyspace against a model: an array of what each key must hold. */
#include "core/command.h"
#include "core/keyspace.h"
#include "core/mem.h"
#include "core/slab.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { KEYS = 4000, DBS = 3 };

struct model_key {
    char name[320];
    bool in;
    char *value;
    size_t len;
    int64_t expiry_ms; /* -1: none */
    bool seen;
};

struct model {
    struct keyspace *ks;
    struct settings settings;
    struct call call;
    struct model_key (*db)[KEYS]; /* DBS of them */
    int64_t used_before;
};

static struct key key_of(const char *name)
{
    struct key k = {.ptr = name, .len = (uint32_t)strlen(name)};
    k.hash = hash_bytes(k.ptr, k.len);
    k.slot = hash_slot(k.ptr, k.len);
    return k;
}

static void model_init(struct model *m)
{
    memset(m, 0, sizeof *m);
    slab_thread_init();
    m->used_before = mem_used_total();
    m->settings = (struct settings){.databases = DBS, .active_expire = true,
                                    .active_expire_effort = 1, .notify_keyspace_events = 0};
    m->ks = keyspace_new(&m->settings);
    m->call = (struct call){.ks = m->ks, .now_ms = 1000000};
    m->db = calloc(DBS, sizeof *m->db);
    for (int d = 0; d < DBS; d++) {
        for (int i = 0; i < KEYS; i++) {
            struct model_key *k = &m->db[d][i];
            /* a third in one slot, some with long names */
            const char *form = i % 3 == 0 ? "{tag}key:%d" : "key:%d";
            int n = snprintf(k->name, sizeof k->name, form, i);
            if (i % 50 == 0) {
                memset(k->name + n, 'x', 300 - (size_t)n);
            }
        }
    }
}

static void model_end(struct model *m)
{
    keyspace_destroy(m->ks);
    cr_assert_eq(mem_used_total(), m->used_before, "nothing leaks");
    for (int d = 0; d < DBS; d++) {
        for (int i = 0; i < KEYS; i++) {
            free(m->db[d][i].value);
        }
    }
    free(m->db);
}

static bool model_expired(const struct model *m, const struct model_key *k)
{
    return k->in && k->expiry_ms >= 0 && k->expiry_ms < m->call.now_ms;
}

static void model_drop(struct model_key *k)
{
    k->in = false;
    free(k->value);
    k->value = NULL;
}

/* What the model says the key is, once expiry is looked after. */
static bool model_has(struct model *m, struct model_key *k)
{
    if (model_expired(m, k)) {
        model_drop(k);
    }
    return k->in;
}

static void check_key(struct model *m, struct model_key *mk)
{
    struct key k = key_of(mk->name);
    struct entry *e = key_peek(&m->call, &k);
    cr_assert_eq(e != NULL, model_has(m, mk), "key %s", mk->name);
    if (e) {
        char buf[24];
        cr_assert(slice_equal(entry_string(e, buf), slice_of(mk->value, mk->len)));
        cr_assert(slice_equal(entry_key(e), slice_str(mk->name)));
        cr_assert_eq(entry_expiry_ms(e), mk->expiry_ms);
    }
}

/* I1 to I3, by counting. */
static void check_invariants(struct keyspace *ks)
{
    int64_t next_ms = keyspace_expire_next_ms(ks);
    for (int d = 0; d < ks->databases; d++) {
        struct keyspace_db *db = ks->db[d];
        int64_t keys = 0, expiring = 0;
        for (int s = 0; db->slots && s < SLOT_COUNT; s++) {
            struct slot_keys *slot = &db->slots[s];
            keys += (int64_t)slot->table.count;
            expiring += slot->expiring;
            cr_assert_eq(db->occupied[s / 64] >> (s % 64) & 1, slot->table.count > 0);
            cr_assert(!slot_may_expire(slot) || next_ms <= slot->expire_min_ms ||
                      next_ms <= ks->expire_.rest_until_ms);
        }
        cr_assert_eq(db->keys, keys);
        cr_assert_eq(db->expiring, expiring);
    }
}

static void check_all(struct model *m)
{
    int db = m->call.db;
    for (int d = 0; d < DBS; d++) {
        m->call.db = d;
        int64_t n = 0;
        for (int i = 0; i < KEYS; i++) {
            check_key(m, &m->db[d][i]);
            n += m->db[d][i].in;
        }
        cr_assert_eq(keyspace_size(m->ks, d), n);
    }
    m->call.db = db;
    check_invariants(m->ks);
}

static void random_value(struct model_key *mk)
{
    static const size_t lens[] = {0, 3, 32, 44, 45, 200, 448, 449, 2000, 100000};
    free(mk->value);
    if (random() % 3 == 0) {
        char digits[24];
        mk->len = (size_t)snprintf(digits, sizeof digits, "%ld", random() - (1l << 30));
        mk->value = strdup(digits);
        return;
    }
    mk->len = lens[(size_t)random() % (sizeof lens / sizeof *lens)];
    if (mk->len > 2000 && random() % 20) {
        mk->len = 20;
    }
    mk->value = malloc(mk->len + 1);
    memset(mk->value, 'a' + (int)(random() % 26), mk->len);
}

static void op_set(struct model *m, struct model_key *mk)
{
    struct key k = key_of(mk->name);
    struct entry *e = key_write(&m->call, &k);
    bool keep = random() % 2;
    cr_assert_eq(e != NULL, model_has(m, mk));
    if (!mk->in || !keep) {
        mk->expiry_ms = -1;
    }
    random_value(mk);
    mk->in = true;
    struct slice value = slice_of(mk->value, mk->len);
    if (random() % 10 == 0) {
        struct blob *b = blob_new(mk->value, mk->len, mk->len + 5);
        key_set_blob(&m->call, &k, e, b, keep);
    } else {
        key_set_string(&m->call, &k, e, value, keep);
    }
}

static void op_expiry(struct model *m, struct model_key *mk)
{
    struct key k = key_of(mk->name);
    struct entry *e = key_write(&m->call, &k);
    cr_assert_eq(e != NULL, model_has(m, mk));
    if (!e) {
        return;
    }
    if (random() % 4 == 0) {
        mk->expiry_ms = -1;
        key_clear_expiry(&m->call, &k, e);
    } else {
        mk->expiry_ms = m->call.now_ms + random() % 2000 - 10;
        key_set_expiry(&m->call, &k, e, mk->expiry_ms);
    }
}

static void op_delete(struct model *m, struct model_key *mk)
{
    struct key k = key_of(mk->name);
    struct entry *e = key_write(&m->call, &k);
    cr_assert_eq(e != NULL, model_has(m, mk));
    if (e) {
        key_delete(&m->call, &k, e);
        model_drop(mk);
    }
}

/* RENAME, across databases */
static void op_rename(struct model *m, struct model_key *from, struct model_key *to, int to_db)
{
    struct call other = key_call_in_db(&m->call, to_db);
    struct key fk = key_of(from->name), tk = key_of(to->name);
    struct entry *e = key_write(&m->call, &fk), *old = key_write(&other, &tk);
    cr_assert_eq(e != NULL, model_has(m, from));
    cr_assert_eq(old != NULL, model_has(m, to));
    if (!e || old) {
        return;
    }
    struct entry *loose = key_detach(&m->call, &fk, e);
    key_attach(&other, &tk, loose);
    to->in = true;
    to->value = from->value;
    to->len = from->len;
    to->expiry_ms = from->expiry_ms;
    from->value = NULL;
    from->in = false;
}

static void op_flush(struct model *m, int db)
{
    keyspace_flush(m->ks, db);
    cr_assert_eq(keyspace_size(m->ks, db), 0);
    for (int i = 0; i < KEYS; i++) {
        if (m->db[db][i].in) {
            model_drop(&m->db[db][i]);
        }
    }
}

static void op_swap(struct model *m, int a, int b)
{
    keyspace_swap(m->ks, a, b);
    for (int i = 0; a != b && i < KEYS; i++) { /* same names in all databases */
        struct model_key t = m->db[a][i];
        m->db[a][i] = m->db[b][i];
        m->db[b][i] = t;
    }
}

static void scan_mark(struct entry *e, void *ctx)
{
    struct model_key *keys = ctx;
    struct slice name = entry_key(e);
    char buf[400], *digits = buf;
    memcpy(buf, name.ptr, name.len);
    buf[name.len] = 0;
    digits = strchr(buf, ':') + 1;
    struct model_key *mk = &keys[atoi(digits)];
    cr_assert(mk->in);
    mk->seen = true;
}

static void op_scan(struct model *m, int db, size_t count)
{
    uint64_t cursor = 0, end = (uint64_t)SLOT_COUNT << 48;
    for (int i = 0; i < KEYS; i++) {
        m->db[db][i].seen = false;
    }
    int steps = 0;
    do {
        uint64_t next = keyspace_scan(m->ks, db, cursor, SLOT_COUNT, count, scan_mark, m->db[db]);
        cr_assert_gt(next, cursor);
        cursor = next;
        cr_assert_lt(++steps, 2 * KEYS);
    } while (cursor != end);
    for (int i = 0; i < KEYS; i++) {
        cr_assert_eq(m->db[db][i].seen, m->db[db][i].in, "key %s", m->db[db][i].name);
    }
}

static bool touch_even(void *ctx, uint16_t slot)
{
    return !ctx || slot % 2 == 0;
}

static void op_expire_slice(struct model *m)
{
    struct keyspace_background b = {
        .now_ms = m->call.now_ms,
        .deadline_ns = random() % 2 ? UINT64_MAX : 0, /* 0: one step only */
        .may_touch = touch_even,
        .ctx = random() % 3 ? NULL : m,
    };
    keyspace_expire_slice(m->ks, &b);
}

static void op_compact_slice(struct model *m)
{
    struct keyspace_background b = {.may_touch = touch_even, .ctx = random() % 3 ? NULL : m};
    keyspace_compact_slice(m->ks, &b);
}

/* Nine keys in ten go: their memory comes back although those that stay lie everywhere. */
Test(keyspace, compaction)
{
    struct model m;
    model_init(&m);
    enum { N = 200000 };
    char name[32];
    struct slab_stats full, sparse, compact;
    const struct slab *slab = slab_thread_init();
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof name, i % 2 ? "k%d" : "{one}k%d", i);
        struct key k = key_of(name);
        key_set_string(&m.call, &k, NULL, slice_str(name), false);
    }
    slab_stats(slab, &full);
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof name, i % 2 ? "k%d" : "{one}k%d", i);
        struct key k = key_of(name);
        if (random() % 10) {
            key_delete(&m.call, &k, key_peek(&m.call, &k));
        }
    }
    slab_stats(slab, &sparse);
    struct keyspace_background b = {.deadline_ns = UINT64_MAX};
    keyspace_compact_slice(m.ks, &b);
    slab_stats(slab, &compact);
    int64_t left = 0;
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof name, i % 2 ? "k%d" : "{one}k%d", i);
        struct key k = key_of(name);
        char buf[24];
        const struct entry *e = key_peek(&m.call, &k);
        cr_assert(!e || slice_equal(entry_string(e, buf), slice_str(name)));
        left += e != NULL;
    }
    cr_assert_eq(keyspace_size(m.ks, 0), left);
    check_invariants(m.ks);
    cr_assert(full.pages == 0 || sparse.pages * 3 > full.pages, "they lie everywhere");
    cr_assert_leq(compact.pages * SLAB_PAGE_BYTES,
                  compact.used_bytes * 5 / 4 + 20 * SLAB_PAGE_BYTES);
    model_end(&m);
}

Test(keyspace, random_changes)
{
    struct model m;
    model_init(&m);
    srandom(11);
    for (int i = 0; i < 400000; i++) {
        int db = (int)(random() % DBS);
        m.call.db = db;
        struct model_key *mk = &m.db[db][random() % KEYS];
        long dice = random() % 1000;
        if (dice < 450) {
            op_set(&m, mk);
        } else if (dice < 700) {
            op_expiry(&m, mk);
        } else if (dice < 850) {
            op_delete(&m, mk);
        } else if (dice < 900) {
            int to_db = (int)(random() % DBS);
            op_rename(&m, mk, &m.db[to_db][random() % KEYS], to_db);
        } else if (dice < 950) {
            m.call.now_ms += random() % 3;
        } else if (dice < 990) {
            op_expire_slice(&m);
            op_compact_slice(&m);
        } else if (random() % 20 == 0) {
            op_swap(&m, db, (int)(random() % DBS));
        } else if (random() % 40 == 0) {
            op_flush(&m, db);
        } else if (random() % 2) {
            keyspace_free_slice(m.ks, 0);
        }
        if (i % 20000 == 0) {
            check_all(&m);
            for (int d = 0; d < DBS; d++) {
                op_scan(&m, d, 1 + (size_t)random() % 30);
            }
        }
    }
    check_all(&m);
    model_end(&m);
}

Test(keyspace, encodings)
{
    struct model m;
    model_init(&m);
    struct key k = key_of("k");
    char buf[24], big[600];
    memset(big, 'b', sizeof big);
    static const char *const ints[] = {"0", "-1", "9223372036854775807", "-9223372036854775808"};
    static const char *const not_ints[] = {"", "-", "-0", "01", "+1", " 1", "1 ", "1.0",
                                           "9223372036854775808", "123456789012345678901"};
    struct entry *e = NULL;
    for (size_t i = 0; i < sizeof ints / sizeof *ints; i++) {
        e = key_set_string(&m.call, &k, e, slice_str(ints[i]), false);
        cr_assert_eq(e->encoding, ENC_INT);
        cr_assert(slice_equal(entry_string(e, buf), slice_str(ints[i])));
    }
    for (size_t i = 0; i < sizeof not_ints / sizeof *not_ints; i++) {
        e = key_set_string(&m.call, &k, e, slice_str(not_ints[i]), false);
        cr_assert_eq(e->encoding, ENC_INLINE);
        cr_assert(slice_equal(entry_string(e, buf), slice_str(not_ints[i])));
    }
    e = key_set_string(&m.call, &k, e, slice_of(big, sizeof big), false);
    cr_assert_eq(e->encoding, ENC_BLOB);
    cr_assert(!(e->flags & ENTRY_RAW));
    cr_assert_eq(keyspace_size(m.ks, 0), 1);
    model_end(&m);
}

struct told {
    int events, modified, expired;
    char last[64];
};

static void on_event(struct keyspace *ks, int db, unsigned class, const char *event,
                     struct slice key)
{
    struct told *t = ks->hooks.ctx;
    t->events++;
    snprintf(t->last, sizeof t->last, "%s:%.*s", event, (int)key.len, key.ptr);
}

static void on_modified(struct keyspace *ks, int db, const struct key *k)
{
    ((struct told *)ks->hooks.ctx)->modified++;
}

static void on_expired(struct keyspace *ks, int db, const struct key *k)
{
    ((struct told *)ks->hooks.ctx)->expired++;
}

Test(keyspace, statistics_and_events)
{
    struct model m;
    struct told told = {0};
    model_init(&m);
    m.ks->hooks = (struct keyspace_hooks){
        .event = on_event, .modified = on_modified, .expired = on_expired, .ctx = &told};
    struct key k = key_of("k"), other = key_of("other");
    struct entry *e = key_set_string(&m.call, &k, NULL, slice_str("v"), false);
    cr_assert_eq(told.events, 0, "nobody asked");
    m.settings.notify_keyspace_events = EVENT_KEYEVENT | EVENT_NEW | EVENT_EXPIRED | EVENT_KEY_MISS;
    key_set_string(&m.call, &other, NULL, slice_str("v"), false);
    cr_assert_str_eq(told.last, "new:other");
    key_event(&m.call, EVENT_STRING, "set", &other);
    cr_assert_eq(told.events, 1);
    key_modified(&m.call, &other, 2);
    cr_assert_eq(told.modified, 1);
    cr_assert_eq(m.call.dirty, 2);
    cr_assert_eq(m.ks->dirty, 2);

    cr_assert_eq(key_read(&m.call, &k), e);
    e = key_set_expiry(&m.call, &k, e, m.call.now_ms);
    cr_assert_eq(key_read(&m.call, &k), e, "expires after its time, not at it");
    m.call.now_ms++;
    m.call.flags = CALL_FROM_MASTER;
    cr_assert_eq(key_write(&m.call, &k), e, "a master's commands see what it has not deleted");
    m.call.flags = 0;
    m.ks->keep_expired = true;
    cr_assert_null(key_read(&m.call, &k));
    cr_assert_eq(keyspace_size(m.ks, 0), 2);
    m.ks->keep_expired = false;
    cr_assert_null(key_read(&m.call, &k));
    cr_assert_eq(keyspace_size(m.ks, 0), 1);
    cr_assert_str_eq(told.last, "keymiss:k");
    cr_assert_eq(told.expired, 1);
    cr_assert_eq(told.modified, 2);
    cr_assert_eq(m.ks->stats.hits, 2);
    cr_assert_eq(m.ks->stats.misses, 2);
    cr_assert_eq(m.ks->stats.expired, 1);
    model_end(&m);
}

Test(keyspace, access_clock)
{
    struct model m;
    model_init(&m);
    struct key k = key_of("k");
    struct entry *e = key_set_string(&m.call, &k, NULL, slice_str("v"), false);
    m.call.now_ms += 10000;
    key_peek(&m.call, &k);
    cr_assert_eq(entry_idle_s(e, m.call.now_ms), 10);
    m.call.flags = CALL_NO_TOUCH;
    key_read(&m.call, &k);
    cr_assert_eq(entry_idle_s(e, m.call.now_ms), 10);
    m.call.flags = 0;
    key_read(&m.call, &k);
    cr_assert_eq(entry_idle_s(e, m.call.now_ms), 0);
    m.settings.maxmemory_policy = POLICY_ALLKEYS_LFU;
    entry_set_lfu(e, 100, m.call.now_ms);
    e = key_set_string(&m.call, &k, e, slice_str("a longer value than before"), false);
    cr_assert_eq(entry_lfu_counter(e, &m.settings, m.call.now_ms), 100, "survives overwriting");
    model_end(&m);
}

/* Slots are lent, worked on through a view, and settled: as if it had been the owner's work. */
Test(keyspace, views)
{
    struct model m;
    model_init(&m);
    srandom(12);
    for (int i = 0; i < KEYS / 2; i++) {
        op_set(&m, &m.db[0][i]);
        op_expiry(&m, &m.db[0][i]);
    }
    keyspace_db_prepare(m.ks, 0);
    keyspace_db_prepare(m.ks, 1);
    for (int round = 0; round < 300; round++) {
        struct keyspace view;
        struct keyspace *views[] = {&view};
        uint16_t slots[40];
        keyspace_view_init(&view, m.ks);
        m.call.views = views;
        int64_t keys = m.ks->db[0]->keys, expiring = m.ks->db[0]->expiring;
        m.call.now_ms += random() % 20;
        for (int i = 0; i < 40; i++) {
            m.call.db = (int)(random() % 2);
            struct model_key *mk = &m.db[m.call.db][random() % KEYS];
            slots[i] = key_of(mk->name).slot;
            long dice = random() % 3;
            if (dice == 0) {
                op_set(&m, mk);
            } else if (dice == 1) {
                op_expiry(&m, mk);
            } else {
                op_delete(&m, mk);
            }
        }
        cr_assert_eq(m.ks->db[0]->keys, keys, "the owner's counters are untouched");
        cr_assert_eq(m.ks->db[0]->expiring, expiring);
        keyspace_view_settle(&view, 0, slots, 40);
        keyspace_view_settle(&view, 1, slots, 40);
        keyspace_view_free(&view);
        m.call.views = NULL;
        check_invariants(m.ks);
        if (round % 50 == 0) {
            check_all(&m);
        }
    }
    check_all(&m);
    model_end(&m);
}

/* What is there during a whole SCAN is returned, whatever else comes and goes. */
Test(keyspace, scan_under_change)
{
    struct model m;
    model_init(&m);
    srandom(13);
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < KEYS; i++) {
            if (random() % 2) {
                op_set(&m, &m.db[0][i]);
            } else {
                op_delete(&m, &m.db[0][i]);
            }
            m.db[0][i].seen = false;
        }
        bool grows = round % 2;
        uint64_t cursor = 0, end = (uint64_t)SLOT_COUNT << 48;
        while (cursor != end) {
            cursor = keyspace_scan(m.ks, 0, cursor, SLOT_COUNT, 10, scan_mark, m.db[0]);
            for (int j = 0; j < 30; j++) {
                struct model_key *mk = &m.db[0][random() % KEYS];
                if (mk - m.db[0] < KEYS / 2) {
                    continue; /* these stay as they are */
                }
                grows ? op_set(&m, mk) : op_delete(&m, mk);
            }
        }
        for (int i = 0; i < KEYS / 2; i++) {
            cr_assert(!m.db[0][i].in || m.db[0][i].seen);
        }
    }
    model_end(&m);
}

Test(keyspace, random_is_even)
{
    struct model m;
    model_init(&m);
    cr_assert_null(keyspace_random(m.ks, 0));
    static const int sizes[] = {1, 3, 100, KEYS};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        int n = sizes[s];
        keyspace_flush(m.ks, 0);
        for (int i = 0; i < n; i++) {
            struct key k = key_of(m.db[0][i].name);
            key_set_int(&m.call, &k, NULL, 0, false);
        }
        for (int i = 0; i < n * 30; i++) {
            struct entry *e = keyspace_random(m.ks, 0);
            entry_set_int(e, entry_int(e) + 1);
        }
        double chi2 = 0;
        for (int i = 0; i < n; i++) {
            struct key k = key_of(m.db[0][i].name);
            double off = (double)entry_int(key_peek(&m.call, &k)) - 30;
            chi2 += off * off / 30;
        }
        cr_assert_leq(chi2, n + 6 * __builtin_sqrt(2.0 * n) + 6, "%d keys: chi2 %.1f", n, chi2);
    }
    model_end(&m);
}

Test(keyspace, active_expiry)
{
    struct model m;
    model_init(&m);
    enum { N = 50000 };
    char name[32];
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof name, i % 2 ? "k%d" : "{one}k%d", i);
        struct key k = key_of(name);
        struct entry *e = key_set_int(&m.call, &k, NULL, i, false);
        if (i % 10) {
            key_set_expiry(&m.call, &k, e, m.call.now_ms + 100 + i % 3);
        }
    }
    cr_assert_eq(keyspace_expire_next_ms(m.ks), m.call.now_ms + 100);
    struct keyspace_background b = {.now_ms = m.call.now_ms + 100, .deadline_ns = UINT64_MAX};
    cr_assert_eq(keyspace_expire_slice(m.ks, &b), 0, "nothing is due yet");
    b.now_ms += 1000;
    b.deadline_ns = 0; /* slices as small as can be */
    size_t gone = 0;
    int slices = 0;
    while (keyspace_expire_next_ms(m.ks) <= b.now_ms) {
        gone += keyspace_expire_slice(m.ks, &b);
        slices++;
    }
    cr_assert_eq(gone, N - N / 10);
    cr_assert_gt(slices, 100);
    cr_assert_eq(keyspace_size(m.ks, 0), N / 10);
    cr_assert_eq(m.ks->db[0]->expiring, 0);
    cr_assert_eq(m.ks->db[0]->expiry_sum_ms, 0);
    b.now_ms += 1000;
    keyspace_expire_slice(m.ks, &b);
    cr_assert_eq(keyspace_expire_next_ms(m.ks), INT64_MAX);
    model_end(&m);
}

Test(keyspace, large_values_are_freed_in_slices)
{
    struct model m;
    model_init(&m);
    struct key k = key_of("big");
    size_t len = 64u << 20;
    struct blob *b = blob_new(NULL, len, len);
    struct entry *e = key_set_blob(&m.call, &k, NULL, b, false);
    key_delete(&m.call, &k, e);
    cr_assert(keyspace_free_pending(m.ks));
    int slices = 0;
    while (!keyspace_free_slice(m.ks, 0)) {
        slices++;
    }
    cr_assert_geq(slices, 32);
    cr_assert_not(keyspace_free_pending(m.ks));
    model_end(&m);
}

/* The digest of an empty and of a small data set as DEBUG DIGEST of redis 7.0.15 prints it. */
static void check_digest(struct keyspace *ks, int db, const char *hex)
{
    uint8_t out[20];
    char got[41];
    keyspace_digest(ks, db, out);
    for (int i = 0; i < 20; i++) {
        snprintf(got + 2 * i, 3, "%02x", out[i]);
    }
    cr_assert_str_eq(got, hex);
}

Test(keyspace, digest)
{
    struct model m;
    model_init(&m);
    check_digest(m.ks, -1, "0000000000000000000000000000000000000000");
    struct key a = key_of("a"), b = key_of("b"), x = key_of("x");
    key_set_string(&m.call, &a, NULL, slice_str("1"), false);
    struct entry *e = key_set_string(&m.call, &b, NULL, slice_str("hello"), false);
    key_set_expiry(&m.call, &b, e, m.call.now_ms + 100000);
    m.call.db = 2;
    key_set_string(&m.call, &x, NULL, slice_str("y"), false);
    check_digest(m.ks, -1, "8da4c1517293cfec4ac9f32af81333a7a46bb135");
    model_end(&m);
}
