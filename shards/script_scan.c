/* script_scan.c - see script_scan.h. */
#include "shards/script_scan.h"
#include "core/mem.h"
#include "shards/commands.h"
#include <ctype.h>
#include <string.h>

enum word_kind { WORD_END, WORD_NAME, WORD_STRING, WORD_NUMBER, WORD_SIGN };

struct word {
    enum word_kind kind;
    struct slice text; /* of a string: what is between its quotes */
};

struct scan {
    struct word *words; /* ended by WORD_END */
    uint32_t count;
    const char *keys;   /* what the script's keys are called: KEYS, in functions keys */
};

/* --- words ----------------------------------------------------------------------------------- */

/* At "[" or "--[": the level of a long bracket, -1 if it is none. */
static int long_level(const char *p, const char *end)
{
    int level = 0;
    for (p++; p < end && *p == '='; p++) {
        level++;
    }
    return p < end && *p == '[' ? level : -1;
}

/* Behind the bracket that closes the long one at p; NULL: there is none. */
static const char *long_end(const char *p, const char *end, int level)
{
    for (p += level + 2; p < end; p++) {
        if (*p != ']') {
            continue;
        }
        int n = 0;
        while (p + 1 + n < end && p[1 + n] == '=') {
            n++;
        }
        if (n == level && p + 1 + n < end && p[1 + n] == ']') {
            return p + n + 2;
        }
    }
    return NULL;
}

static const char *skip_comment(const char *p, const char *end)
{
    if (p + 2 < end && p[2] == '[') {
        int level = long_level(p + 2, end);
        if (level >= 0) {
            return long_end(p + 2, end, level);
        }
    }
    const char *line = memchr(p, '\n', (size_t)(end - p));
    return line != NULL ? line + 1 : end;
}

/* Reads a quoted string at p; NULL: escapes, or no end. */
static const char *quoted(const char *p, const char *end, struct word *w)
{
    const char *q = p + 1;
    while (q < end && *q != *p) {
        if (*q == '\n') {
            return NULL;
        }
        q += *q == '\\' && q + 1 < end ? 2 : 1;
    }
    if (q >= end) {
        return NULL;
    }
    *w = (struct word){WORD_STRING, slice_of(p + 1, (size_t)(q - p - 1))};
    return q + 1;
}

/* The next word from p; NULL: something that the scan does not know. */
static const char *next_word(const char *p, const char *end, struct word *w)
{
    while (p != NULL && p < end && (isspace((unsigned char)*p) || (p + 1 < end && p[0] == '-' && p[1] == '-'))) {
        p = *p == '-' ? skip_comment(p, end) : p + 1;
    }
    if (p == NULL) {
        return NULL;
    }
    *w = (struct word){WORD_END, slice_of(p, 0)};
    if (p == end) {
        return p;
    }
    const char *q = p + 1;
    if (isalpha((unsigned char)*p) || *p == '_') {
        while (q < end && (isalnum((unsigned char)*q) || *q == '_')) {
            q++;
        }
        w->kind = WORD_NAME;
    } else if (isdigit((unsigned char)*p)) {
        while (q < end && (isalnum((unsigned char)*q) || *q == '.')) {
            q++;
        }
        w->kind = WORD_NUMBER;
    } else if (*p == '"' || *p == '\'') {
        return quoted(p, end, w);
    } else if (*p == '[' && long_level(p, end) >= 0) {
        w->kind = WORD_STRING;
        int level = long_level(p, end);
        q = long_end(p, end, level);
        if (q == NULL) {
            return NULL;
        }
        w->text = slice_of(p + level + 2, (size_t)(q - p) - 2 * (size_t)(level + 2));
        return q;
    } else {
        w->kind = WORD_SIGN;
        if (q < end && *q == '=' && strchr("=~<>", *p) != NULL) {
            q++; /* so that a lone "=" is an assignment */
        }
    }
    w->text = slice_of(p, (size_t)(q - p));
    return q;
}

static bool read_words(struct scan *s, const char *p, const char *end)
{
    for (s->count = 0; s->count < SCRIPT_SCAN_WORDS_MAX; s->count++) {
        p = next_word(p, end, &s->words[s->count]);
        if (p == NULL) {
            return false;
        }
        if (s->words[s->count].kind == WORD_END) {
            return true;
        }
    }
    return false;
}

/* --- what they mean -------------------------------------------------------------------------- */

static bool same(struct slice a, const char *b)
{
    size_t len = strlen(b);
    return a.len == len && memcmp(a.ptr, b, len) == 0;
}

static bool is_name(const struct scan *s, uint32_t i, const char *name)
{
    return i < s->count && s->words[i].kind == WORD_NAME && same(s->words[i].text, name);
}

static bool is_sign(const struct scan *s, uint32_t i, const char *sign)
{
    return i < s->count && s->words[i].kind == WORD_SIGN && same(s->words[i].text, sign);
}

/* Behind the bracket that closes the one at i; 0: none does. */
static uint32_t behind_bracket(const struct scan *s, uint32_t i)
{
    int depth = 0;
    for (; i < s->count; i++) {
        if (is_sign(s, i, "(") || is_sign(s, i, "[") || is_sign(s, i, "{")) {
            depth++;
        } else if (is_sign(s, i, ")") || is_sign(s, i, "]") || is_sign(s, i, "}")) {
            if (--depth == 0) {
                return i + 1;
            }
        }
    }
    return 0;
}

/* The names list that a "local" at i declares ends at *behind; which of them is name? -1: none. */
static int place_in_local(const struct scan *s, uint32_t i, struct slice name, uint32_t *behind)
{
    int place = 0, found = -1;
    for (i++; i < s->count && s->words[i].kind == WORD_NAME; i += 2) {
        if (slice_equal(s->words[i].text, name)) {
            found = place;
        }
        place++;
        if (!is_sign(s, i + 1, ",")) {
            i++;
            break;
        }
    }
    *behind = i;
    return found;
}

/* The expression number place of the list at i is KEYS[…] and nothing else. */
static bool list_has_key(const struct scan *s, uint32_t i, int place)
{
    for (;; place--) {
        bool key = is_name(s, i, s->keys) && is_sign(s, i + 1, "[");
        if (!key) {
            return false; /* only lists of keys are understood */
        }
        i = behind_bracket(s, i + 1);
        if (i == 0) {
            return false;
        }
        if (place == 0) {
            /* The expression must end here: a name, a keyword, "," or ";" may follow, no operator. */
            return i >= s->count || is_sign(s, i, ",") || is_sign(s, i, ";") ||
                   (s->words[i].kind == WORD_NAME && !is_name(s, i, "and") && !is_name(s, i, "or"));
        }
        if (!is_sign(s, i, ",")) {
            return false;
        }
        i++;
    }
}

/* A local that is bound once in the whole text, to a key, and never assigned to. */
static bool names_key(const struct scan *s, struct slice name)
{
    bool bound = false;
    for (uint32_t i = 0; i < s->count; i++) {
        uint32_t behind;
        if (is_name(s, i, "local") && !is_name(s, i + 1, "function")) {
            int place = place_in_local(s, i, name, &behind);
            if (place >= 0) {
                if (bound || !is_sign(s, behind, "=") || !list_has_key(s, behind + 1, place)) {
                    return false;
                }
                bound = true;
            }
            i = behind > i + 1 ? behind - 1 : i;
        } else if (is_name(s, i, "function") || is_name(s, i, "for")) {
            /* parameters and loop variables of that name would hide it */
            for (uint32_t j = i + 1; j < s->count && !is_sign(s, j, ")") && !is_name(s, j, "in") &&
                                     !is_sign(s, j, "="); j++) {
                if (s->words[j].kind == WORD_NAME && slice_equal(s->words[j].text, name)) {
                    return false;
                }
            }
        } else if (s->words[i].kind == WORD_NAME && slice_equal(s->words[i].text, name) &&
                   (is_sign(s, i + 1, "=") ||
                    (is_sign(s, i + 1, ",") && (i == 0 || !is_sign(s, i - 1, ","))))) {
            if (is_sign(s, i + 1, "=")) {
                return false;
            }
        }
    }
    return bound;
}

/* The argument at *i is a key (or, when it may be the last, all of them); *i goes behind it. */
static bool argument_is_key(const struct scan *s, uint32_t *i, bool may_unpack)
{
    uint32_t behind;
    if (is_name(s, *i, s->keys) && is_sign(s, *i + 1, "[")) {
        behind = behind_bracket(s, *i + 1);
    } else if (may_unpack && is_name(s, *i, "unpack") && is_sign(s, *i + 1, "(") &&
               is_name(s, *i + 2, s->keys) && is_sign(s, *i + 3, ")")) {
        behind = *i + 4;
    } else if (*i < s->count && s->words[*i].kind == WORD_NAME && names_key(s, s->words[*i].text)) {
        behind = *i + 1;
    } else {
        return false;
    }
    *i = behind;
    return behind != 0 && (is_sign(s, behind, ",") || is_sign(s, behind, ")"));
}

/* Behind the argument at i: at its "," or ")". */
static uint32_t skip_argument(const struct scan *s, uint32_t i)
{
    while (i < s->count && !is_sign(s, i, ",") && !is_sign(s, i, ")")) {
        if (is_sign(s, i, "(") || is_sign(s, i, "[") || is_sign(s, i, "{")) {
            i = behind_bracket(s, i);
            if (i == 0) {
                return s->count;
            }
        } else {
            i++;
        }
    }
    return i;
}

/* The call whose "(" is at i: a literal command whose keys are all the script's. */
static bool call_is_narrow(const struct scan *s, uint32_t i)
{
    if (!is_sign(s, i, "(") || s->words[i + 1].kind != WORD_STRING) {
        return false;
    }
    const struct command *cmd = commands_find(s->words[i + 1].text);
    struct command_range range = {0};
    if (cmd == NULL || cmd->run == NULL || cmd->undeclared != NULL ||
        (cmd->route != ROUTE_KEYS && cmd->route != ROUTE_HOME)) {
        return false;
    }
    if (cmd->keys[0].begin != KEY_BEGIN_NONE &&
        (cmd->find_keys != NULL || (cmd->flags & CMD_MOVABLE_KEYS) ||
         command_legacy_range(cmd, &range))) {
        return false;
    }
    i += 2;
    for (int n = 1;; n++) { /* argument n begins behind the sign at i */
        if (!is_sign(s, i, ",")) {
            return is_sign(s, i, ")"); /* too few arguments are an error when it runs */
        }
        i++;
        bool in_range = range.first > 0 && n >= range.first &&
                        (range.last < 0 || n <= range.last);
        if (in_range && range.last < -1) {
            return false; /* all but the last ones: not for us */
        }
        if (in_range && (n - range.first) % range.step == 0) {
            if (!argument_is_key(s, &i, range.last == -1 && range.step == 1)) {
                return false;
            }
        } else {
            uint32_t from = i;
            i = skip_argument(s, i);
            /* "unpack(ARGV)" in front of a key would shift it: only behind the last key */
            for (uint32_t j = from; j < i; j++) {
                if (is_sign(s, j, "(") && range.first > 0 && (n < range.first || range.last != range.first)) {
                    return false;
                }
            }
        }
    }
}

/* Names that get at globals, or at code, in ways which the scan does not follow. */
static bool is_devious(struct slice name)
{
    static const char *const names[] = {"_G", "getfenv", "setfenv", "loadstring", "load", "rawget",
                                        "rawset", "debug", "require", "dofile", "getmetatable",
                                        "setmetatable", "server"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (same(name, names[i])) {
            return true;
        }
    }
    return false;
}

/* The name of a function is only handed on (to redis.register_function), never called. */
static bool is_never_called(const struct scan *s, uint32_t at)
{
    for (uint32_t i = 0; i + 1 < s->count; i++) {
        if (i != at && s->words[i].kind == WORD_NAME &&
            slice_equal(s->words[i].text, s->words[at].text) && !is_sign(s, i + 1, ",") &&
            !is_sign(s, i + 1, ")") && !is_sign(s, i + 1, "}")) {
            return false;
        }
    }
    return true;
}

/* The first parameter of a function that the server calls: then it holds the declared keys. */
static bool is_first_parameter(const struct scan *s, uint32_t i)
{
    if (i < 2 || !is_sign(s, i - 1, "(") || (!is_sign(s, i + 1, ",") && !is_sign(s, i + 1, ")"))) {
        return false;
    }
    if (is_name(s, i - 2, "function")) { /* a value: an argument, or callback= */
        return i > 2 && (is_sign(s, i - 3, ",") || (i > 3 && is_sign(s, i - 3, "=") &&
                                                    is_name(s, i - 4, "callback")));
    }
    return i > 2 && is_name(s, i - 3, "function") && s->words[i - 2].kind == WORD_NAME &&
           is_never_called(s, i - 2);
}

static bool keys_is_harmless(const struct scan *s, uint32_t i)
{
    if (is_first_parameter(s, i)) {
        return same(slice_str(s->keys), "keys");
    }
    if (i > 0 && is_sign(s, i - 1, "#")) {
        return true;
    }
    if (i > 1 && is_sign(s, i - 1, "(") && is_sign(s, i + 1, ")")) {
        static const char *const readers[] = {"unpack", "ipairs", "pairs"};
        for (size_t k = 0; k < sizeof readers / sizeof *readers; k++) {
            if (is_name(s, i - 2, readers[k])) {
                return true;
            }
        }
    }
    if (!is_sign(s, i + 1, "[")) {
        return false;
    }
    uint32_t behind = behind_bracket(s, i + 1);
    return behind != 0 && !is_sign(s, behind, "=");
}

static bool words_are_narrow(const struct scan *s)
{
    for (uint32_t i = 0; i < s->count; i++) {
        if (s->words[i].kind != WORD_NAME) {
            continue;
        }
        bool field = i > 0 && (is_sign(s, i - 1, ".") || is_sign(s, i - 1, ":")) &&
                     !(i > 1 && is_sign(s, i - 2, "."));
        if (field) {
            continue;
        }
        if (is_devious(s->words[i].text)) {
            return false;
        }
        if (is_name(s, i, s->keys) && !keys_is_harmless(s, i)) {
            return false;
        }
        if (!is_name(s, i, "redis")) {
            continue;
        }
        if (!is_sign(s, i + 1, ".") || i + 2 >= s->count || s->words[i + 2].kind != WORD_NAME) {
            return false;
        }
        if (is_name(s, i + 2, "call") || is_name(s, i + 2, "pcall")) {
            if (!call_is_narrow(s, i + 3)) {
                return false;
            }
        } else if (is_sign(s, i + 3, "=")) {
            return false;
        }
    }
    return true;
}

static bool scan(const char *code, size_t len, const char *keys)
{
    size_t most = len < SCRIPT_SCAN_WORDS_MAX ? len : SCRIPT_SCAN_WORDS_MAX;
    struct scan s = {.words = mem_alloc_zero((most + 2) * sizeof(struct word)), .keys = keys};
    bool narrow = read_words(&s, code, code + len) && words_are_narrow(&s);
    mem_free(s.words);
    return narrow;
}

bool script_scan_is_narrow(const struct script *script)
{
    return scan(script->body + script->shebang_len, script->body_len - script->shebang_len, "KEYS");
}

bool script_scan_library_is_narrow(struct slice code)
{
    const char *line = memchr(code.ptr, '\n', code.len); /* the shebang's */
    size_t skip = line != NULL ? (size_t)(line - code.ptr) : code.len;
    return scan(code.ptr + skip, code.len - skip, "keys");
}
