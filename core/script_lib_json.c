/* script_lib_json.c - the library `cjson` of scripts, as lua-cjson 2.1.0 behaves in Redis: which
 * tables are arrays, what is escaped, the settings and their bounds, the words of its errors.
 *
 *   encode   a table whose keys are integers from 1 is an array of its highest key (gaps are null)
 *            unless that is more than ratio times its items and above safe; an empty table is {}.
 *   decode   null is cjson.null, a light userdata NULL; numbers are doubles.
 *
 * Debian's liblua5.1-cjson is not used: its buffers count in int and are no match for strings of
 * hundreds of megabytes (CVE-2022-24834), end the process when memory is out, and are not counted.
 */
#include "core/script_internal.h"
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct json_settings {
    int sparse_convert, sparse_ratio, sparse_safe;
    int encode_depth_max, decode_depth_max;
    int encode_invalid; /* NaN and infinity: 0 error, 1 as they are, 2 null */
    int decode_invalid;
    int keep_buffer;    /* of no consequence here: the buffer is the VM's */
    int precision;
};

static const struct json_settings defaults = {
    .sparse_ratio = 2,
    .sparse_safe = 10,
    .encode_depth_max = 1000,
    .decode_depth_max = 1000,
    .decode_invalid = 1,
    .keep_buffer = 1,
    .precision = 14,
};

static struct json_settings *settings_of(lua_State *lua)
{
    return lua_touserdata(lua, lua_upvalueindex(1));
}

/* --- Settings: called without arguments they tell, else they set --- */

static struct json_settings *setting_args(lua_State *lua, int most)
{
    luaL_argcheck(lua, lua_gettop(lua) <= most, most + 1, "found too many arguments");
    lua_settop(lua, most);
    return settings_of(lua);
}

static int integer_setting(lua_State *lua, int arg, int *setting, int min, int max)
{
    if (!lua_isnil(lua, arg)) {
        int given = luaL_checkint(lua, arg);
        char text[64];
        snprintf(text, sizeof text, "expected integer between %d and %d", min, max);
        luaL_argcheck(lua, min <= given && given <= max, 1, text);
        *setting = given;
    }
    lua_pushinteger(lua, *setting);
    return 1;
}

/* One of options (NULL: off and on); 0 and 1 may be given, and are told, as booleans. */
static int choice_setting(lua_State *lua, int arg, int *setting, const char *const *options)
{
    static const char *const off_on[] = {"off", "on", NULL};
    options = options != NULL ? options : off_on;
    if (lua_isboolean(lua, arg)) {
        *setting = lua_toboolean(lua, arg);
    } else if (!lua_isnil(lua, arg)) {
        *setting = luaL_checkoption(lua, arg, NULL, options);
    }
    if (*setting <= 1) {
        lua_pushboolean(lua, *setting);
    } else {
        lua_pushstring(lua, options[*setting]);
    }
    return 1;
}

static int json_encode_sparse_array(lua_State *lua)
{
    struct json_settings *s = setting_args(lua, 3);
    choice_setting(lua, 1, &s->sparse_convert, NULL);
    integer_setting(lua, 2, &s->sparse_ratio, 0, INT_MAX);
    integer_setting(lua, 3, &s->sparse_safe, 0, INT_MAX);
    return 3;
}

static int json_encode_max_depth(lua_State *lua)
{
    struct json_settings *s = setting_args(lua, 1);
    return integer_setting(lua, 1, &s->encode_depth_max, 1, INT_MAX);
}

static int json_decode_max_depth(lua_State *lua)
{
    struct json_settings *s = setting_args(lua, 1);
    return integer_setting(lua, 1, &s->decode_depth_max, 1, INT_MAX);
}

static int json_encode_number_precision(lua_State *lua)
{
    struct json_settings *s = setting_args(lua, 1);
    return integer_setting(lua, 1, &s->precision, 1, 14);
}

static int json_encode_keep_buffer(lua_State *lua)
{
    struct json_settings *s = setting_args(lua, 1);
    return choice_setting(lua, 1, &s->keep_buffer, NULL);
}

static int json_encode_invalid_numbers(lua_State *lua)
{
    static const char *const options[] = {"off", "on", "null", NULL};
    struct json_settings *s = setting_args(lua, 1);
    return choice_setting(lua, 1, &s->encode_invalid, options);
}

static int json_decode_invalid_numbers(lua_State *lua)
{
    struct json_settings *s = setting_args(lua, 1);
    return choice_setting(lua, 1, &s->decode_invalid, NULL);
}

/* --- Encoding --- */

struct encoder {
    struct script_vm *vm;
    const struct json_settings *settings;
};

static void add(lua_State *lua, struct encoder *e, const char *text, size_t len)
{
    script__scratch_add(lua, e->vm, text, len);
}

static void refuse(lua_State *lua, int index, const char *why)
{
    luaL_error(lua, "Cannot serialise %s: %s", luaL_typename(lua, index), why);
}

/* What stands for a byte that may not stand for itself: 0 it may, 'u' its code in hex. */
static char escape_of(unsigned char c)
{
    switch (c) {
    case '"': case '\\': case '/':
        return (char)c;
    case '\b': return 'b';
    case '\t': return 't';
    case '\n': return 'n';
    case '\f': return 'f';
    case '\r': return 'r';
    case 0x7f: return 'u';
    default: return c < 0x20 ? 'u' : 0;
    }
}

static void encode_string(lua_State *lua, struct encoder *e, int index)
{
    static const char digits[] = "0123456789abcdef";
    enum { ESCAPED_MAX = 6, PIECE = 4096 };
    size_t len;
    const char *text = lua_tolstring(lua, index, &len);
    add(lua, e, "\"", 1);
    for (size_t at = 0; at < len;) {
        size_t end = len - at < PIECE ? len : at + PIECE;
        char *const start = script__scratch_room(lua, e->vm, (end - at) * ESCAPED_MAX);
        char *out = start;
        for (; at < end; at++) {
            unsigned char c = (unsigned char)text[at];
            char escape = escape_of(c);
            if (escape == 0) {
                *out++ = (char)c;
            } else if (escape != 'u') {
                *out++ = '\\';
                *out++ = escape;
            } else {
                memcpy(out, "\\u00", 4);
                out[4] = digits[c >> 4];
                out[5] = digits[c & 15];
                out += ESCAPED_MAX;
            }
        }
        script__scratch_wrote(e->vm, (size_t)(out - start));
    }
    add(lua, e, "\"", 1);
}

static void encode_number(lua_State *lua, struct encoder *e, int index)
{
    enum { NUMBER_MAX = 32 };
    lua_Number n = lua_tonumber(lua, index);
    if (!isfinite(n)) {
        if (e->settings->encode_invalid == 0) {
            refuse(lua, index, "must not be NaN or Inf");
        } else if (e->settings->encode_invalid == 2) {
            add(lua, e, "null", 4);
            return;
        } else if (isnan(n)) {
            add(lua, e, "nan", 3);
            return;
        }
    }
    char *out = script__scratch_room(lua, e->vm, NUMBER_MAX);
    script__scratch_wrote(e->vm,
                          (size_t)snprintf(out, NUMBER_MAX, "%.*g", e->settings->precision, n));
}

/* Elements of the array on top; -1 and the like: it is an object. */
static int array_length(lua_State *lua, struct encoder *e)
{
    int highest = 0;
    int64_t items = 0;
    lua_pushnil(lua);
    while (lua_next(lua, -2)) {
        lua_Number k = lua_type(lua, -2) == LUA_TNUMBER ? lua_tonumber(lua, -2) : 0;
        if (!(k >= 1 && floor(k) == k)) {
            lua_pop(lua, 2);
            return -1;
        }
        if (k > highest) {
            highest = k <= INT_MAX ? (int)k : INT_MIN; /* what the conversion of x86 gives */
        }
        items++;
        lua_pop(lua, 1);
    }
    const struct json_settings *s = e->settings;
    if (s->sparse_ratio > 0 && highest > items * s->sparse_ratio && highest > s->sparse_safe) {
        if (!s->sparse_convert) {
            refuse(lua, -1, "excessively sparse array");
        }
        return -1;
    }
    return highest;
}

static void encode_value(lua_State *lua, struct encoder *e, int depth);

static void encode_array(lua_State *lua, struct encoder *e, int depth, int length)
{
    for (int i = 1; i <= length; i++) {
        add(lua, e, i == 1 ? "[" : ",", 1);
        lua_rawgeti(lua, -1, i);
        encode_value(lua, e, depth);
        lua_pop(lua, 1);
    }
    add(lua, e, "]", 1);
}

static void encode_object(lua_State *lua, struct encoder *e, int depth)
{
    bool first = true;
    add(lua, e, "{", 1);
    lua_pushnil(lua);
    while (lua_next(lua, -2)) {
        if (!first) {
            add(lua, e, ",", 1);
        }
        first = false;
        if (lua_type(lua, -2) == LUA_TNUMBER) {
            add(lua, e, "\"", 1);
            encode_number(lua, e, -2);
            add(lua, e, "\":", 2);
        } else if (lua_type(lua, -2) == LUA_TSTRING) {
            encode_string(lua, e, -2);
            add(lua, e, ":", 1);
        } else {
            refuse(lua, -2, "table key must be a number or string");
        }
        encode_value(lua, e, depth);
        lua_pop(lua, 1);
    }
    add(lua, e, "}", 1);
}

static void encode_table(lua_State *lua, struct encoder *e, int depth)
{
    if (depth > e->settings->encode_depth_max || !lua_checkstack(lua, 4)) {
        luaL_error(lua, "Cannot serialise, excessive nesting (%d)", depth);
    }
    bool is_proxy = script__push_behind_proxy(lua, -1);
    int length = array_length(lua, e);
    if (length > 0) {
        encode_array(lua, e, depth, length);
    } else {
        encode_object(lua, e, depth);
    }
    lua_pop(lua, is_proxy);
}

/* The value on top, which stays. depth: tables around it. */
static void encode_value(lua_State *lua, struct encoder *e, int depth)
{
    switch (lua_type(lua, -1)) {
    case LUA_TSTRING:
        encode_string(lua, e, -1);
        break;
    case LUA_TNUMBER:
        encode_number(lua, e, -1);
        break;
    case LUA_TBOOLEAN:
        if (lua_toboolean(lua, -1)) {
            add(lua, e, "true", 4);
        } else {
            add(lua, e, "false", 5);
        }
        break;
    case LUA_TTABLE:
        encode_table(lua, e, depth + 1);
        break;
    case LUA_TNIL:
        add(lua, e, "null", 4);
        break;
    case LUA_TLIGHTUSERDATA:
        if (lua_touserdata(lua, -1) == NULL) {
            add(lua, e, "null", 4);
            break;
        }
        /* fall through */
    default:
        refuse(lua, -1, "type not supported");
    }
}

static int json_encode(lua_State *lua)
{
    luaL_argcheck(lua, lua_gettop(lua) == 1, 1, "expected 1 argument");
    struct encoder e = {script__scratch_start(lua), settings_of(lua)};
    encode_value(lua, &e, 0);
    script__scratch_push(lua, e.vm);
    return 1;
}

/* --- Decoding --- */

enum token {
    TOKEN_OBJECT, TOKEN_OBJECT_END, TOKEN_ARRAY, TOKEN_ARRAY_END, TOKEN_STRING, TOKEN_NUMBER,
    TOKEN_BOOLEAN, TOKEN_NULL, TOKEN_COLON, TOKEN_COMMA, TOKEN_END, TOKEN_ERROR,
};
static const char *const token_names[] = {
    "T_OBJ_BEGIN", "T_OBJ_END", "T_ARR_BEGIN", "T_ARR_END", "T_STRING", "T_NUMBER",
    "T_BOOLEAN", "T_NULL", "T_COLON", "T_COMMA", "T_END", "T_ERROR",
};

struct decoder {
    struct script_vm *vm;
    const struct json_settings *settings;
    const char *text, *at; /* ended by a 0, which every Lua string has behind it */
    int depth;

    /* the token */
    enum token token;
    const char *token_at;
    const char *error;     /* TOKEN_ERROR: what is wrong */
    double number;
    bool truth;
    struct slice string;   /* in the scratch buffer, or in text */
};

static void token_error(struct decoder *d, const char *error)
{
    d->token = TOKEN_ERROR;
    d->token_at = d->at;
    d->error = error;
}

/* Four hex digits; -1: they are not. */
static int hex4(const char *p)
{
    int v = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i], lower = (char)(c | 0x20);
        if (c >= '0' && c <= '9') {
            v = v << 4 | (c - '0');
        } else if (lower >= 'a' && lower <= 'f') {
            v = v << 4 | (lower - 'a' + 10);
        } else {
            return -1;
        }
    }
    return v;
}

/* "\uXXXX", or two of them, at d->at, as UTF-8 at out; the bytes written, 0: it is none. */
static size_t unicode_escape(struct decoder *d, char *out)
{
    int code = hex4(d->at + 2);
    if (code < 0) {
        return 0;
    }
    size_t used = 6;
    if ((code & 0xf800) == 0xd800) {
        const char *next = d->at + 6;
        int low = next[0] == '\\' && next[1] == 'u' ? hex4(next + 2) : -1;
        if ((code & 0x400) != 0 || low < 0 || (low & 0xfc00) != 0xdc00) {
            return 0;
        }
        code = ((code & 0x3ff) << 10 | (low & 0x3ff)) + 0x10000;
        used = 12;
    }
    d->at += used;
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t bytes = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = bytes - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (code & 0x3f));
        code >>= 6;
    }
    out[0] = (char)(lead[bytes] | code);
    return bytes;
}

static char unescape(char c)
{
    switch (c) {
    case '"': case '\\': case '/':
        return c;
    case 'b': return '\b';
    case 't': return '\t';
    case 'n': return '\n';
    case 'f': return '\f';
    case 'r': return '\r';
    default: return 0;
    }
}

/* One escape at d->at, into the scratch buffer. False: the token is an error. */
static bool decode_escape(lua_State *lua, struct decoder *d)
{
    char *out = script__scratch_room(lua, d->vm, 4);
    if (d->at[1] == 'u') {
        size_t bytes = unicode_escape(d, out);
        if (bytes == 0) {
            token_error(d, "invalid unicode escape code");
            return false;
        }
        script__scratch_wrote(d->vm, bytes);
        return true;
    }
    *out = unescape(d->at[1]);
    if (*out == 0) {
        token_error(d, "invalid escape code");
        return false;
    }
    script__scratch_wrote(d->vm, 1);
    d->at += 2;
    return true;
}

/* A string at d->at, which is its quote. Without escapes it is used where it lies. */
static void next_string(lua_State *lua, struct decoder *d)
{
    const char *plain = ++d->at;
    bool copied = false;
    d->vm->scratch_len = 0;
    for (;;) {
        char c = *d->at;
        if (c == '"') {
            break;
        }
        if (c == 0) {
            token_error(d, "unexpected end of string");
            return;
        }
        if (c != '\\') {
            d->at++;
            continue;
        }
        script__scratch_add(lua, d->vm, plain, (size_t)(d->at - plain));
        copied = true;
        if (!decode_escape(lua, d)) {
            return;
        }
        plain = d->at;
    }
    if (copied) {
        script__scratch_add(lua, d->vm, plain, (size_t)(d->at - plain));
        d->string = slice_of(d->vm->scratch, d->vm->scratch_len);
    } else {
        d->string = slice_of(plain, (size_t)(d->at - plain));
    }
    d->at++;
    d->token = TOKEN_STRING;
}

/* strtod takes it, JSON does not: a plus, leading zeros, hex, infinity, NaN. */
static bool is_invalid_number(const char *p)
{
    if (*p == '+') {
        return true;
    }
    p += *p == '-';
    if (*p == '0') {
        return (p[1] | 0x20) == 'x' || (p[1] >= '0' && p[1] <= '9');
    }
    return *p > '9' && (strncasecmp(p, "inf", 3) == 0 || strncasecmp(p, "nan", 3) == 0);
}

static void next_number(struct decoder *d)
{
    char *end;
    d->number = strtod(d->at, &end);
    if (end == d->at) {
        token_error(d, "invalid number");
    } else {
        d->token = TOKEN_NUMBER;
        d->at = end;
    }
}

/* Tokens of more than one character. */
static void next_word(lua_State *lua, struct decoder *d)
{
    char c = *d->at;
    if (c == '"') {
        next_string(lua, d);
    } else if (c == '-' || (c >= '0' && c <= '9')) {
        if (!d->settings->decode_invalid && is_invalid_number(d->at)) {
            token_error(d, "invalid number");
        } else {
            next_number(d);
        }
    } else if (strncmp(d->at, "true", 4) == 0 || strncmp(d->at, "false", 5) == 0) {
        d->token = TOKEN_BOOLEAN;
        d->truth = c == 't';
        d->at += d->truth ? 4 : 5;
    } else if (strncmp(d->at, "null", 4) == 0) {
        d->token = TOKEN_NULL;
        d->at += 4;
    } else if (strchr("+iInN", c) != NULL && d->settings->decode_invalid &&
               is_invalid_number(d->at)) {
        next_number(d);
    } else {
        token_error(d, "invalid token");
    }
}

static void next_token(lua_State *lua, struct decoder *d)
{
    while (*d->at == ' ' || *d->at == '\t' || *d->at == '\n' || *d->at == '\r') {
        d->at++;
    }
    d->token_at = d->at;
    switch (*d->at) {
    case '{': d->token = TOKEN_OBJECT; break;
    case '}': d->token = TOKEN_OBJECT_END; break;
    case '[': d->token = TOKEN_ARRAY; break;
    case ']': d->token = TOKEN_ARRAY_END; break;
    case ',': d->token = TOKEN_COMMA; break;
    case ':': d->token = TOKEN_COLON; break;
    case 0:
        d->token = TOKEN_END;
        return;
    default:
        next_word(lua, d);
        return;
    }
    d->at++;
}

static void unexpected(lua_State *lua, const struct decoder *d, const char *expected)
{
    const char *found = d->token == TOKEN_ERROR ? d->error : token_names[d->token];
    luaL_error(lua, "Expected %s but found %s at character %d", expected, found,
               (int)(d->token_at - d->text) + 1);
}

static void descend(lua_State *lua, struct decoder *d, int slots)
{
    d->depth++;
    if (d->depth > d->settings->decode_depth_max || !lua_checkstack(lua, slots)) {
        luaL_error(lua, "Found too many nested data structures (%d) at character %d", d->depth,
                   (int)(d->at - d->text));
    }
}

static void decode_value(lua_State *lua, struct decoder *d);

static void decode_object(lua_State *lua, struct decoder *d)
{
    descend(lua, d, 3);
    lua_newtable(lua);
    next_token(lua, d);
    while (d->token != TOKEN_OBJECT_END) {
        if (d->token != TOKEN_STRING) {
            unexpected(lua, d, "object key string");
        }
        lua_pushlstring(lua, d->string.ptr, d->string.len);
        next_token(lua, d);
        if (d->token != TOKEN_COLON) {
            unexpected(lua, d, "colon");
        }
        next_token(lua, d);
        decode_value(lua, d);
        lua_rawset(lua, -3);
        next_token(lua, d);
        if (d->token == TOKEN_OBJECT_END) {
            break;
        }
        if (d->token != TOKEN_COMMA) {
            unexpected(lua, d, "comma or object end");
        }
        next_token(lua, d);
        if (d->token == TOKEN_OBJECT_END) {
            unexpected(lua, d, "object key string");
        }
    }
    d->depth--;
}

static void decode_array(lua_State *lua, struct decoder *d)
{
    descend(lua, d, 2);
    lua_newtable(lua);
    next_token(lua, d);
    for (int i = 1; d->token != TOKEN_ARRAY_END; i++) {
        decode_value(lua, d);
        lua_rawseti(lua, -2, i);
        next_token(lua, d);
        if (d->token == TOKEN_ARRAY_END) {
            break;
        }
        if (d->token != TOKEN_COMMA) {
            unexpected(lua, d, "comma or array end");
        }
        next_token(lua, d);
        if (d->token == TOKEN_ARRAY_END) {
            unexpected(lua, d, "value");
        }
    }
    d->depth--;
}

/* Pushes the value that begins with the token. */
static void decode_value(lua_State *lua, struct decoder *d)
{
    switch (d->token) {
    case TOKEN_STRING:
        lua_pushlstring(lua, d->string.ptr, d->string.len);
        break;
    case TOKEN_NUMBER:
        lua_pushnumber(lua, d->number);
        break;
    case TOKEN_BOOLEAN:
        lua_pushboolean(lua, d->truth);
        break;
    case TOKEN_NULL:
        lua_pushlightuserdata(lua, NULL);
        break;
    case TOKEN_OBJECT:
        decode_object(lua, d);
        break;
    case TOKEN_ARRAY:
        decode_array(lua, d);
        break;
    default:
        unexpected(lua, d, "value");
    }
}

static int json_decode(lua_State *lua)
{
    luaL_argcheck(lua, lua_gettop(lua) == 1, 1, "expected 1 argument");
    size_t len;
    const char *text = luaL_checklstring(lua, 1, &len);
    if (len >= 2 && (text[0] == 0 || text[1] == 0)) {
        return luaL_error(lua, "JSON parser does not support UTF-16 or UTF-32");
    }
    struct decoder d = {.vm = script__scratch_start(lua), .settings = settings_of(lua),
                        .text = text, .at = text};
    next_token(lua, &d);
    decode_value(lua, &d);
    next_token(lua, &d);
    if (d.token != TOKEN_END) {
        unexpected(lua, &d, "the end");
    }
    return 1;
}

/* --- The library --- */

/* cjson.new(): a library with settings of its own. */
static int json_new(lua_State *lua)
{
    static const luaL_Reg functions[] = {
        {"encode", json_encode},
        {"decode", json_decode},
        {"encode_sparse_array", json_encode_sparse_array},
        {"encode_max_depth", json_encode_max_depth},
        {"decode_max_depth", json_decode_max_depth},
        {"encode_number_precision", json_encode_number_precision},
        {"encode_keep_buffer", json_encode_keep_buffer},
        {"encode_invalid_numbers", json_encode_invalid_numbers},
        {"decode_invalid_numbers", json_decode_invalid_numbers},
        {"new", json_new},
        {NULL, NULL},
    };
    lua_newtable(lua);
    struct json_settings *settings = lua_newuserdata(lua, sizeof *settings);
    *settings = defaults;
    for (const luaL_Reg *f = functions; f->name != NULL; f++) {
        lua_pushvalue(lua, -1);
        lua_pushcclosure(lua, f->func, 1);
        lua_setfield(lua, -3, f->name);
    }
    lua_pop(lua, 1);
    lua_pushlightuserdata(lua, NULL);
    lua_setfield(lua, -2, "null");
    lua_pushliteral(lua, "cjson");
    lua_setfield(lua, -2, "_NAME");
    lua_pushliteral(lua, "2.1.0");
    lua_setfield(lua, -2, "_VERSION");
    return 1;
}

int script__open_json(lua_State *lua)
{
    return json_new(lua);
}
