/* ab_template.c - see ab_template.h. */
#include "bench/ab_template.h"

#include "bench/ab_value.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum part_kind {
    PART_LITERAL, PART_KEY, PART_DATA, PART_RAND, PART_INT, PART_SEQ, PART_FLOAT, PART_EXPIRE,
    PART_TIME, PART_TAG,
};

enum { NUMBER_MAX_BYTES = 20, FLOAT_BYTES = 8, TAGS = 16384 };

struct ab_part {
    enum part_kind kind;
    uint32_t at, len;   /* literal: in literals */
    uint32_t digits;    /* zero-padded to so many, 0: none */
    int64_t low, high;  /* PART_INT */
};

enum op_kind { OP_LITERAL, OP_FIXED, OP_VARYING };

struct ab_op {
    enum op_kind kind;
    uint32_t at, len; /* literal: bytes; fixed: the part, its length; varying: first part, count */
};

/* ---- splitting a line ------------------------------------------------------------------------ */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One escape after a backslash at *s, as redis-cli reads them; moves *s on. */
static char unescape(const char **s)
{
    const char *p = *s;
    if (p[0] == 'x' && hex_digit(p[1]) >= 0 && hex_digit(p[2]) >= 0) {
        *s += 3;
        return (char)(hex_digit(p[1]) * 16 + hex_digit(p[2]));
    }
    (*s)++;
    switch (p[0]) {
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'b': return '\b';
    case 'a': return '\a';
    default: return p[0];
    }
}

/* Reads one argument at *s into out (as long as the rest of the line at least). -1: bad quotes. */
static ssize_t read_arg(const char **s, char *out)
{
    const char *p = *s;
    size_t n = 0;
    char quote = 0;

    for (; *p && (quote || !isspace((unsigned char)*p));) {
        if (quote == '"' && *p == '\\' && p[1]) {
            p++;
            out[n++] = unescape(&p);
        } else if (quote == '\'' && *p == '\\' && p[1] == '\'') {
            out[n++] = '\'';
            p += 2;
        } else if (quote && *p == quote) {
            quote = 0;
            p++;
            if (*p && !isspace((unsigned char)*p)) {
                return -1; /* a closing quote ends the argument */
            }
        } else if (!quote && (*p == '"' || *p == '\'')) {
            quote = *p++;
        } else {
            out[n++] = *p++;
        }
    }
    *s = p;
    return quote ? -1 : (ssize_t)n;
}

static void *need(void *memory)
{
    if (!memory) {
        fprintf(stderr, "ashlar-bench: out of memory\n");
        exit(1);
    }
    return memory;
}

int ab_args_split(const char *line, char **args[], size_t *lens[])
{
    int count = 0, cap = 16;
    char *buf = need(malloc(strlen(line) + 1));

    *args = need(malloc(sizeof **args * (size_t)cap));
    *lens = need(malloc(sizeof **lens * (size_t)cap));
    for (;;) {
        while (isspace((unsigned char)*line)) {
            line++;
        }
        if (!*line) {
            break;
        }
        ssize_t n = read_arg(&line, buf);
        if (n < 0 || count == 1 << 20) {
            free(buf);
            ab_args_free(count, *args, *lens);
            return -1;
        }
        if (count == cap) {
            cap *= 2;
            *args = need(realloc(*args, sizeof **args * (size_t)cap));
            *lens = need(realloc(*lens, sizeof **lens * (size_t)cap));
        }
        (*args)[count] = need(malloc((size_t)n + 1));
        memcpy((*args)[count], buf, (size_t)n);
        (*args)[count][n] = 0;
        (*lens)[count++] = (size_t)n;
    }
    free(buf);
    return count;
}

void ab_args_free(int argc, char **args, size_t *lens)
{
    for (int i = 0; i < argc; i++) {
        free(args[i]);
    }
    free(args);
    free(lens);
}

/* ---- compiling ------------------------------------------------------------------------------- */

static void *grow(void *base, uint32_t *cap, uint32_t wanted, size_t item)
{
    if (wanted <= *cap) {
        return base;
    }
    *cap = wanted < 64 ? 64 : wanted * 2;
    return need(realloc(base, *cap * item));
}

static uint32_t literal_keep(struct ab_template *t, const char *bytes, size_t len)
{
    uint32_t at = t->literal_bytes;
    t->literals = grow(t->literals, &t->literal_cap, at + (uint32_t)len + AB_COPY_SLACK, 1);
    memcpy(t->literals + at, bytes, len);
    t->literal_bytes += (uint32_t)len;
    memset(t->literals + t->literal_bytes, 0, AB_COPY_SLACK);
    return at;
}

static struct ab_op *op_add(struct ab_template *t, enum op_kind kind, uint32_t at, uint32_t len)
{
    t->ops = grow(t->ops, &t->op_cap, t->op_count + 1, sizeof *t->ops);
    t->ops[t->op_count] = (struct ab_op){kind, at, len};
    return &t->ops[t->op_count++];
}

/* Literals that follow each other are one copy. */
static void emit_literal(struct ab_template *t, const char *bytes, size_t len)
{
    if (len == 0) {
        return;
    }
    struct ab_op *last = t->op_count ? &t->ops[t->op_count - 1] : NULL;
    bool joins = last && last->kind == OP_LITERAL && last->at + last->len == t->literal_bytes;
    uint32_t at = literal_keep(t, bytes, len);
    if (joins) {
        last->len += (uint32_t)len;
    } else {
        op_add(t, OP_LITERAL, at, (uint32_t)len);
    }
    t->max_bytes += len;
}

static uint32_t digits_of(uint64_t v)
{
    uint32_t n = 1;
    for (; v >= 10; v /= 10) {
        n++;
    }
    return n;
}

/* The length that a part always has, or -1. */
static int64_t part_fixed_bytes(const struct ab_part *p, const struct ab_space *space)
{
    switch (p->kind) {
    case PART_LITERAL:
        return p->len;
    case PART_KEY:
        return !space->key_sized && p->digits >= digits_of(space->keys.count - 1)
                   ? (int64_t)p->digits : INT64_C(-1);
    case PART_DATA:
        return space->data.fixed ? (int64_t)space->data.max : INT64_C(-1);
    case PART_RAND:
        return space->rand_count <= 1000000000000u ? AB_RAND_DIGITS : -1;
    case PART_FLOAT:
        return FLOAT_BYTES;
    default:
        return -1;
    }
}

static size_t part_max_bytes(const struct ab_part *p, const struct ab_space *space)
{
    switch (p->kind) {
    case PART_LITERAL:
        return p->len;
    case PART_DATA:
        return space->data.max;
    case PART_KEY:
        return (space->key_sized ? space->key_size.max : p->digits) + NUMBER_MAX_BYTES;
    default:
        return p->digits + NUMBER_MAX_BYTES + 1;
    }
}

struct word {
    const char *text;
    enum part_kind kind;
};

/* A placeholder at s[0..len): its length, and the part it stands for; 0: none. */
static size_t placeholder(const char *s, size_t len, const struct ab_space *space,
                          struct ab_part *out)
{
    static const struct word words[] = {
        {"__key__", PART_KEY}, {"__data__", PART_DATA}, {"__rand_int__", PART_RAND},
        {"__int__", PART_INT}, {"__seq__", PART_SEQ}, {"__float__", PART_FLOAT},
        {"__expire__", PART_EXPIRE}, {"__time_ms__", PART_TIME}, {"__tag__", PART_TAG},
    };
    long long low, high;
    int used = 0;

    if (len < 7 || s[0] != '_' || s[1] != '_') {
        return 0;
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t n = strlen(words[i].text);
        if (len < n || memcmp(s, words[i].text, n) != 0) {
            continue;
        }
        if (words[i].kind == PART_RAND && space->rand_count == 0) {
            return 0;
        }
        *out = (struct ab_part){.kind = words[i].kind};
        if (out->kind == PART_INT) {
            out->high = (int64_t)(space->keys.count - 1);
        } else if (out->kind == PART_KEY) {
            out->digits = space->key_digits;
        } else if (out->kind == PART_RAND) {
            out->digits = AB_RAND_DIGITS;
        }
        return n;
    }
    if (sscanf(s, "__int:%lld:%lld__%n", &low, &high, &used) == 2 && used > 0 && low <= high) {
        *out = (struct ab_part){.kind = PART_INT, .low = low, .high = high};
        return (size_t)used;
    }
    return 0;
}

static void part_add(struct ab_template *t, struct ab_part part)
{
    t->parts = grow(t->parts, &t->part_cap, t->part_count + 1, sizeof *t->parts);
    t->parts[t->part_count++] = part;
}

static void part_add_literal(struct ab_template *t, const char *s, size_t len)
{
    if (len > 0) {
        uint32_t at = literal_keep(t, s, len);
        part_add(t, (struct ab_part){.kind = PART_LITERAL, .at = at, .len = (uint32_t)len});
    }
}

/* Cuts an argument into parts; keys bring their prefix and suffix along. */
static void cut_parts(struct ab_template *t, const char *arg, size_t len,
                      const struct ab_space *space)
{
    size_t start = 0;
    for (size_t i = 0; i < len;) {
        struct ab_part part;
        size_t n = placeholder(arg + i, len - i, space, &part);
        if (n == 0) {
            i++;
            continue;
        }
        part_add_literal(t, arg + start, i - start);
        if (part.kind == PART_KEY) {
            part_add_literal(t, space->key_prefix, strlen(space->key_prefix));
        }
        part_add(t, part);
        if (part.kind == PART_KEY) {
            part_add_literal(t, space->key_suffix, strlen(space->key_suffix));
        }
        i += n;
        start = i;
    }
    part_add_literal(t, arg + start, len - start);
}

static bool compile_arg(struct ab_template *t, const char *arg, size_t len,
                        const struct ab_space *space, char err[256])
{
    uint32_t first = t->part_count;
    int64_t fixed = 0;
    size_t most = 0;
    char header[32];

    cut_parts(t, arg, len, space);
    for (uint32_t i = first; i < t->part_count; i++) {
        int64_t n = part_fixed_bytes(&t->parts[i], space);
        fixed = n < 0 || fixed < 0 ? -1 : fixed + n;
        most += part_max_bytes(&t->parts[i], space);
    }
    if (fixed < 0) {
        if (t->part_count - first > AB_VAR_PARTS_MAX) {
            snprintf(err, 256, "an argument has more than %d parts", AB_VAR_PARTS_MAX);
            return false;
        }
        op_add(t, OP_VARYING, first, t->part_count - first);
        t->max_bytes += most + 24;
        emit_literal(t, "\r\n", 2);
        return true;
    }
    emit_literal(t, header, (size_t)snprintf(header, sizeof header, "$%lld\r\n", (long long)fixed));
    for (uint32_t i = first; i < t->part_count; i++) {
        struct ab_part *p = &t->parts[i];
        if (p->kind == PART_LITERAL) {
            char *copy = need(malloc(p->len)); /* literals may move while they grow */
            memcpy(copy, t->literals + p->at, p->len);
            emit_literal(t, copy, p->len);
            free(copy);
        } else {
            int64_t n = part_fixed_bytes(p, space);
            op_add(t, OP_FIXED, i, (uint32_t)n);
            t->max_bytes += (size_t)n + NUMBER_MAX_BYTES;
        }
    }
    emit_literal(t, "\r\n", 2);
    return true;
}

/* Which argument decides the slot: for scripts the first key, for reads of streams the one after
 * STREAMS, otherwise argument 1. */
uint32_t ab_key_arg(int argc, char *const *args)
{
    const char *name = args[0];
    if (strncasecmp(name, "eval", 4) == 0 || strncasecmp(name, "fcall", 5) == 0) {
        return argc > 3 && strcmp(args[2], "0") != 0 ? 3 : 0;
    }
    if (strcasecmp(name, "xread") == 0 || strcasecmp(name, "xreadgroup") == 0) {
        for (int i = 1; i < argc - 1; i++) {
            if (strcasecmp(args[i], "streams") == 0) {
                return (uint32_t)i + 1;
            }
        }
        return 0;
    }
    static const char *const second[] = {"object", "memory", "xgroup", "xinfo", "bitop", "debug"};
    static const char *const none[] = {"ping", "echo", "info", "time", "dbsize", "config", "command",
                                       "script", "function", "publish", "client", "cluster", "role"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        if (strcasecmp(name, none[i]) == 0) {
            return 0;
        }
    }
    for (size_t i = 0; i < sizeof second / sizeof *second; i++) {
        if (strcasecmp(name, second[i]) == 0) {
            return argc > 2 ? 2 : 0;
        }
    }
    return argc > 1 ? 1 : 0;
}

bool ab_template_compile(struct ab_template *t, const char *name, int argc, char *const *args,
                         const size_t *lens, const struct ab_space *space, char err[256])
{
    char header[32];

    memset(t, 0, sizeof *t);
    snprintf(t->name, sizeof t->name, "%s", name);
    if (argc < 1 || argc > AB_ARGS_MAX) {
        snprintf(err, 256, "a command has 1 to %d arguments", AB_ARGS_MAX);
        return false;
    }
    t->argc = (uint32_t)argc;
    emit_literal(t, header, (size_t)snprintf(header, sizeof header, "*%d\r\n", argc));
    for (int i = 0; i < argc; i++) {
        if (!compile_arg(t, args[i], lens[i], space, err)) {
            ab_template_free(t);
            return false;
        }
    }
    for (uint32_t i = 0; i < t->part_count; i++) {
        if (t->parts[i].kind != PART_LITERAL) {
            t->first_is_key = t->parts[i].kind == PART_KEY;
            break;
        }
    }
    t->is_get = strcasecmp(args[0], "get") == 0 && argc == 2;
    t->checks_value = space->verify && t->is_get && t->first_is_key && strcmp(args[1], "__key__") == 0;
    t->key_arg = ab_key_arg(argc, args);
    t->max_bytes += AB_COPY_SLACK;
    return true;
}

void ab_template_raw(struct ab_template *t, const char *name, const char *bytes, size_t len)
{
    memset(t, 0, sizeof *t);
    snprintf(t->name, sizeof t->name, "%s", name);
    t->argc = 1;
    t->inline_form = true;
    emit_literal(t, bytes, len);
    t->max_bytes += AB_COPY_SLACK;
}

void ab_template_free(struct ab_template *t)
{
    free(t->ops);
    free(t->parts);
    free(t->literals);
    memset(t, 0, sizeof *t);
}

/* ---- encoding -------------------------------------------------------------------------------- */

struct encoder {
    const struct ab_space *space;
    struct ab_rng rng;
    uint64_t sequence;
    uint64_t key; /* drawn last */
    uint64_t tag;
};

/* What a part stands for this time: a number, or the tag of a value; and how long it is. */
struct drawn {
    uint64_t value;
    uint32_t len;
};

static uint64_t key_tag(const struct ab_space *space, uint64_t key)
{
    return ab_mix((key + 1) * AB_GOLDEN ^ space->tag_seed);
}

static uint64_t wall_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME_COARSE, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Zeros fill a key up to its size; its number always has room. */
static uint32_t key_bytes(const struct ab_space *space, uint64_t key, uint32_t digits)
{
    uint32_t own = digits_of(key);
    if (space->key_sized) {
        size_t around = strlen(space->key_prefix) + strlen(space->key_suffix);
        uint32_t size = ab_size_of(&space->key_size, ab_mix(key + 1));
        digits = size > around ? size - (uint32_t)around : 0;
    }
    return own > digits ? own : digits;
}

static struct drawn draw_part(struct encoder *e, const struct ab_part *p)
{
    const struct ab_space *space = e->space;
    struct drawn d = {0, 0};

    switch (p->kind) {
    case PART_LITERAL:
        return (struct drawn){0, p->len};
    case PART_KEY:
        d.value = e->key = ab_dist_draw(&space->keys, &e->rng, e->sequence++);
        d.len = key_bytes(space, d.value, p->digits);
        return d;
    case PART_DATA:
        d.value = space->verify ? key_tag(space, e->key) : ab_rng_next(&e->rng);
        d.len = ab_size_of(&space->data, d.value);
        return d;
    case PART_RAND:
        d.value = ab_rng_below(&e->rng, space->rand_count);
        break;
    case PART_INT: {
        uint64_t width = (uint64_t)p->high - (uint64_t)p->low + 1;
        d.value = (uint64_t)p->low + (width ? ab_rng_below(&e->rng, width) : ab_rng_next(&e->rng));
        bool negative = (int64_t)d.value < 0;
        d.len = negative ? 1 + digits_of(-d.value) : digits_of(d.value);
        return d;
    }
    case PART_SEQ:
        d.value = e->sequence++;
        break;
    case PART_FLOAT:
        return (struct drawn){ab_rng_below(&e->rng, 1000000), FLOAT_BYTES};
    case PART_EXPIRE:
        d.value = space->expire_low_s +
                  ab_rng_below(&e->rng, space->expire_high_s - space->expire_low_s + 1);
        break;
    case PART_TIME:
        d.value = wall_ms();
        break;
    case PART_TAG:
        d.value = e->tag;
        break;
    }
    d.len = digits_of(d.value);
    d.len = d.len < p->digits ? p->digits : d.len;
    return d;
}

static void write_digits(char *to, uint64_t v, uint32_t len)
{
    static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233"
                                "34353637383940414243444546474849505152535455565758596061626364656667"
                                "6869707172737475767778798081828384858687888990919293949596979899";
    while (len >= 2) {
        len -= 2;
        memcpy(to + len, pairs + v % 100 * 2, 2);
        v /= 100;
    }
    if (len > 0) {
        to[0] = (char)('0' + v % 10);
    }
}

static void write_part(const struct ab_template *t, const struct ab_part *p, struct drawn d, char *to)
{
    switch (p->kind) {
    case PART_LITERAL:
        ab_copy_over(to, t->literals + p->at, p->len);
        break;
    case PART_DATA:
        ab_value_write(to, d.value, d.len);
        break;
    case PART_FLOAT:
        to[0] = '0';
        to[1] = '.';
        write_digits(to + 2, d.value, d.len - 2);
        break;
    case PART_INT:
        if ((int64_t)d.value < 0) {
            to[0] = '-';
            write_digits(to + 1, -d.value, d.len - 1);
            break;
        }
        /* fall through */
    default:
        write_digits(to, d.value, d.len);
        break;
    }
}

static char *encode_varying(const struct ab_template *t, struct encoder *e, const struct ab_op *op,
                            char *to)
{
    struct drawn drawn[AB_VAR_PARTS_MAX];
    uint64_t total = 0;

    assert(op->len <= AB_VAR_PARTS_MAX);
    for (uint32_t i = 0; i < op->len; i++) {
        drawn[i] = draw_part(e, &t->parts[op->at + i]);
        total += drawn[i].len;
    }
    *to++ = '$';
    uint32_t digits = digits_of(total);
    write_digits(to, total, digits);
    to += digits;
    *to++ = '\r';
    *to++ = '\n';
    for (uint32_t i = 0; i < op->len; i++) {
        write_part(t, &t->parts[op->at + i], drawn[i], to);
        to += drawn[i].len;
    }
    return to;
}

/* What nearly all requests consist of goes the short way; the rest as in an argument that varies. */
static inline void encode_fixed(const struct ab_template *t, struct encoder *e, const struct ab_op *op,
                                char *to)
{
    const struct ab_space *space = e->space;
    const struct ab_part *p = &t->parts[op->at];

    if (p->kind == PART_KEY) {
        e->key = space->keys.kind == AB_UNIFORM ? ab_rng_below(&e->rng, space->keys.count)
                                                : ab_dist_draw(&space->keys, &e->rng, e->sequence);
        e->sequence++;
        write_digits(to, e->key, op->len);
    } else if (p->kind == PART_DATA) {
        ab_value_write(to, space->verify ? key_tag(space, e->key) : ab_rng_next(&e->rng), op->len);
    } else {
        struct drawn d = draw_part(e, p);
        assert(d.len == op->len);
        write_part(t, p, d, to);
    }
}

size_t ab_template_encode(const struct ab_template *t, const struct ab_space *space,
                          struct ab_draw draw, char *to)
{
    struct encoder e = {space, {draw.seed}, draw.sequence, 0, draw.seed % TAGS};
    char *start = to;

    for (uint32_t i = 0; i < t->op_count; i++) {
        const struct ab_op *op = &t->ops[i];
        if (op->kind == OP_LITERAL) {
            ab_copy_over(to, t->literals + op->at, op->len);
            to += op->len;
        } else if (op->kind == OP_FIXED) {
            encode_fixed(t, &e, op, to);
            to += op->len;
        } else {
            to = encode_varying(t, &e, op, to);
        }
    }
    assert((size_t)(to - start) <= t->max_bytes);
    return (size_t)(to - start);
}

void ab_template_expected(const struct ab_template *t, const struct ab_space *space,
                          struct ab_draw draw, uint64_t *tag, uint32_t *len)
{
    struct ab_rng rng = {draw.seed};
    assert(t->first_is_key);
    *tag = key_tag(space, ab_dist_draw(&space->keys, &rng, draw.sequence));
    *len = ab_size_of(&space->data, *tag);
}

uint64_t ab_template_sequences(const struct ab_template *t)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < t->part_count; i++) {
        n += t->parts[i].kind == PART_KEY || t->parts[i].kind == PART_SEQ;
    }
    return n;
}

/* ---- keys ------------------------------------------------------------------------------------ */

bool ab_request_arg(const char *request, size_t len, uint32_t arg, const char **out, size_t *out_len)
{
    const char *p = request, *end = request + len;

    if (len == 0 || *p != '*' || !(p = memchr(p, '\n', len))) {
        return false;
    }
    for (p++; p < end && *p == '$';) {
        size_t n = strtoul(p + 1, NULL, 10);
        const char *body = memchr(p, '\n', (size_t)(end - p));
        if (!body || n > (size_t)(end - body)) {
            return false;
        }
        body++;
        if (arg-- == 0) {
            *out = body;
            *out_len = n;
            return true;
        }
        p = body + n + 2;
    }
    return false;
}

bool ab_space_key_format(struct ab_space *space, const char *format)
{
    const char *mark = strchr(format, '%');
    unsigned digits = 0;
    int used = 0;

    if (!mark || (size_t)(mark - format) >= sizeof space->key_prefix) {
        return false;
    }
    if (mark[1] == 'd') {
        used = 2;
    } else if (sscanf(mark, "%%0%2ud%n", &digits, &used) != 1 || used == 0) {
        return false;
    }
    const char *suffix = mark + used;
    if (strchr(suffix, '%') || strlen(suffix) >= sizeof space->key_suffix) {
        return false;
    }
    snprintf(space->key_prefix, sizeof space->key_prefix, "%.*s", (int)(mark - format), format);
    snprintf(space->key_suffix, sizeof space->key_suffix, "%s", suffix);
    space->key_digits = digits;
    space->tag_seed = 0;
    for (const char *c = format; *c && c < mark; c++) {
        space->tag_seed = ab_mix(space->tag_seed + (unsigned char)*c + 1);
    }
    return true;
}
