/* scripts.c - see scripts.h. */
#include "shards/scripts.h"
#include "core/hash.h"
#include "core/mem.h"
#include "shards/script_scan.h"
#include <assert.h>
#include <string.h>
#include <strings.h>

struct scripts *scripts_new(void)
{
    struct scripts *s = mem_alloc_zero(sizeof *s);
    atomic_init(&s->table, mem_alloc_zero(sizeof(struct script_table)));
    struct function_catalog *none = mem_alloc_zero(sizeof *none);
    atomic_init(&none->refs_, 1);
    none->set = function_set_empty();
    atomic_init(&s->catalog, none);
    return s;
}

void scripts_free(struct scripts *s)
{
    script_table_free(atomic_load(&s->table));
    function_catalog_unref(atomic_load(&s->catalog));
    mem_free(s);
}

/* --- references ------------------------------------------------------------------------------ */

void runnable_ref(struct runnable *r)
{
    _Atomic uint32_t *refs = r->catalog != NULL ? &r->catalog->refs_ : &r->refs_;
    atomic_fetch_add_explicit(refs, 1, memory_order_relaxed);
}

void runnable_unref(struct runnable *r)
{
    if (r->catalog != NULL) {
        function_catalog_unref(r->catalog);
    } else if (atomic_fetch_sub_explicit(&r->refs_, 1, memory_order_acq_rel) == 1) {
        script_unref(r->script);
        mem_free(r);
    }
}

/* --- scripts --------------------------------------------------------------------------------- */

/* A sha is evenly distributed as it is. */
static uint32_t sha_bucket(const char *sha)
{
    uint32_t h = 0;
    for (int i = 0; i < 4; i++) {
        h = h << 4 | (uint32_t)(sha[i] <= '9' ? sha[i] - '0' : sha[i] - 'a' + 10);
    }
    return h % SCRIPT_BUCKETS;
}

static struct runnable *find_sha(struct script_table *t, const char *sha)
{
    struct runnable *r = atomic_load_explicit(&t->by_sha[sha_bucket(sha)], memory_order_acquire);
    while (r != NULL && memcmp(r->script->sha, sha, SCRIPT_SHA_LEN) != 0) {
        r = r->next_by_sha;
    }
    return r;
}

static bool has_body(const struct runnable *r, struct slice body)
{
    return r->script->body_len == body.len && memcmp(r->script->body, body.ptr, body.len) == 0;
}

static struct runnable *find_body(struct script_table *t, struct slice body, uint64_t hash)
{
    struct runnable *r =
        atomic_load_explicit(&t->by_body[hash % SCRIPT_BUCKETS], memory_order_acquire);
    while (r != NULL && (r->body_hash != hash || !has_body(r, body))) {
        r = r->next_by_body;
    }
    return r;
}

/* Comparing with a guess is quicker than hashing a long text. */
static _Atomic(struct runnable *) *recent_of(struct script_table *t, struct slice body)
{
    uint64_t guess = body.len, middle;
    if (body.len >= sizeof middle) {
        memcpy(&middle, body.ptr + (body.len - sizeof middle) / 2, sizeof middle);
        guess ^= middle;
    }
    return &t->recent[(guess * 0x9e3779b97f4a7c15u) >> 32 & (SCRIPT_RECENT - 1)];
}

struct runnable *scripts_by_sha(struct scripts *s, struct slice given)
{
    char sha[SCRIPT_SHA_LEN + 1];
    if (!script_sha_normalize(given, sha)) {
        return NULL;
    }
    for (int i = 0; i < 4; i++) { /* what is not hex is the name of nothing */
        if (!((sha[i] >= '0' && sha[i] <= '9') || (sha[i] >= 'a' && sha[i] <= 'f'))) {
            return NULL;
        }
    }
    struct script_table *t = atomic_load_explicit(&s->table, memory_order_acquire);
    struct runnable *r = find_sha(t, sha);
    if (r == NULL || atomic_load_explicit(&r->code, memory_order_relaxed) == RUNNABLE_BROKEN) {
        return NULL;
    }
    runnable_ref(r);
    return r;
}

/* Puts r into a chain; false when one with its sha is there already. */
static bool add_by_sha(struct script_table *t, struct runnable *r)
{
    _Atomic(struct runnable *) *bucket = &t->by_sha[sha_bucket(r->script->sha)];
    struct runnable *head = atomic_load_explicit(bucket, memory_order_acquire);
    do {
        if (find_sha(t, r->script->sha) != NULL) {
            return false; /* another shard was faster */
        }
        r->next_by_sha = head;
    } while (!atomic_compare_exchange_weak_explicit(bucket, &head, r, memory_order_acq_rel,
                                                    memory_order_acquire));
    return true;
}

static void add_by_body(struct script_table *t, struct runnable *r)
{
    _Atomic(struct runnable *) *bucket = &t->by_body[r->body_hash % SCRIPT_BUCKETS];
    struct runnable *head = atomic_load_explicit(bucket, memory_order_relaxed);
    do {
        r->next_by_body = head;
    } while (!atomic_compare_exchange_weak_explicit(bucket, &head, r, memory_order_acq_rel,
                                                    memory_order_relaxed));
}

static struct runnable *runnable_of_script(struct script *script, uint64_t body_hash)
{
    struct runnable *r = mem_alloc_zero(sizeof *r);
    atomic_init(&r->refs_, 1); /* the table's */
    atomic_init(&r->reach, script_scan_is_narrow(script) ? RUNNABLE_PROVEN : RUNNABLE_UNKNOWN);
    r->flags = script->flags;
    r->script = script;
    r->body_hash = body_hash;
    return r;
}

struct runnable *scripts_by_body(struct scripts *s, struct slice body, struct reply *out)
{
    struct script_table *t = atomic_load_explicit(&s->table, memory_order_acquire);
    _Atomic(struct runnable *) *recent = recent_of(t, body);
    struct runnable *r = atomic_load_explicit(recent, memory_order_acquire);
    if (r != NULL && has_body(r, body)) {
        runnable_ref(r);
        return r;
    }
    uint64_t hash = hash_bytes(body.ptr, body.len);
    r = find_body(t, body, hash);
    if (r != NULL) {
        atomic_store_explicit(recent, r, memory_order_release);
    } else {
        struct script *script = script_create(body, NULL, out);
        if (script == NULL) {
            return NULL;
        }
        r = runnable_of_script(script, hash);
        runnable_ref(r); /* before others can find it */
        if (add_by_sha(t, r)) {
            add_by_body(t, r);
            atomic_fetch_add_explicit(&t->count, 1, memory_order_relaxed);
            atomic_fetch_add_explicit(&t->bytes, script_memory_bytes(script) + sizeof *r,
                                      memory_order_relaxed);
            return r;
        }
        struct runnable *theirs = find_sha(t, script->sha);
        atomic_store_explicit(&r->refs_, 1, memory_order_relaxed);
        runnable_unref(r);
        r = theirs;
    }
    runnable_ref(r);
    return r;
}

void scripts_judge(struct scripts *s, struct runnable *r, bool compiles)
{
    uint8_t code = compiles ? RUNNABLE_COMPILES : RUNNABLE_BROKEN;
    uint8_t before = atomic_exchange_explicit(&r->code, code, memory_order_relaxed);
    struct script_table *t = atomic_load_explicit(&s->table, memory_order_acquire);
    if (before == RUNNABLE_UNSEEN && !compiles && find_sha(t, r->script->sha) == r) {
        atomic_fetch_sub_explicit(&t->count, 1, memory_order_relaxed);
    }
}

struct script_table *scripts_replace(struct scripts *s)
{
    return atomic_exchange_explicit(&s->table, mem_alloc_zero(sizeof(struct script_table)),
                                    memory_order_acq_rel);
}

void script_table_free(struct script_table *t)
{
    for (uint32_t i = 0; i < SCRIPT_BUCKETS; i++) {
        struct runnable *r = atomic_load_explicit(&t->by_sha[i], memory_order_acquire);
        while (r != NULL) {
            struct runnable *next = r->next_by_sha;
            runnable_unref(r);
            r = next;
        }
    }
    mem_free(t);
}

struct scripts_count scripts_count(const struct scripts *s)
{
    const struct script_table *t = atomic_load_explicit(&s->table, memory_order_acquire);
    const struct function_set *set = functions_now(s)->set;
    return (struct scripts_count){
        .scripts = atomic_load_explicit(&t->count, memory_order_relaxed),
        .script_bytes = atomic_load_explicit(&t->bytes, memory_order_relaxed),
        .functions = set->function_count,
        .libraries = set->count,
        .function_bytes = set->memory_bytes,
    };
}

/* --- functions ------------------------------------------------------------------------------- */

struct function_catalog *functions_now(const struct scripts *s)
{
    return atomic_load_explicit(&s->catalog, memory_order_acquire);
}

static int64_t find_function(const struct function_catalog *c, struct slice name)
{
    const struct function *f = function_set_find(c->set, name);
    if (f == NULL) {
        return -1;
    }
    uint32_t low = 0, high = c->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        int order = strcasecmp(c->functions[middle].function->name, f->name);
        if (order == 0) {
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    assert(!"functions are sorted by name without regard to case");
    return -1;
}

struct runnable *functions_find(struct scripts *s, struct slice name)
{
    struct function_catalog *c = functions_now(s);
    int64_t i = find_function(c, name);
    if (i < 0) {
        return NULL;
    }
    runnable_ref(&c->functions[i]);
    return &c->functions[i];
}

static bool library_is_narrow(const struct function_library *lib)
{
    return script_scan_library_is_narrow(slice_of(lib->code, lib->code_len));
}

static struct function_catalog *catalog_new(struct function_catalog *old, struct function_set *set)
{
    uint32_t n = set->function_count;
    struct function_catalog *c = mem_alloc_zero(sizeof *c + n * sizeof *c->functions);
    atomic_init(&c->refs_, 1);
    c->set = set;
    c->count = n;
    for (uint32_t i = 0; i < n; i++) {
        struct runnable *r = &c->functions[i];
        r->function = set->functions[i];
        r->flags = r->function->flags;
        r->catalog = c;
        atomic_init(&r->code, RUNNABLE_COMPILES);
        int64_t before = find_function(old, slice_str(r->function->name));
        if (before >= 0 && old->functions[before].function == r->function) {
            atomic_init(&r->reach, atomic_load(&old->functions[before].reach));
        } else if (library_is_narrow(r->function->library)) {
            atomic_init(&r->reach, RUNNABLE_PROVEN);
        }
    }
    return c;
}

bool functions_publish(struct scripts *s, struct function_catalog *old, struct function_set *set)
{
    struct function_catalog *c = catalog_new(old, set), *expected = old;
    if (atomic_compare_exchange_strong_explicit(&s->catalog, &expected, c, memory_order_acq_rel,
                                                memory_order_acquire)) {
        return true;
    }
    function_catalog_unref(c);
    return false;
}

void function_catalog_unref(struct function_catalog *c)
{
    if (atomic_fetch_sub_explicit(&c->refs_, 1, memory_order_acq_rel) == 1) {
        function_set_unref(c->set);
        mem_free(c);
    }
}
