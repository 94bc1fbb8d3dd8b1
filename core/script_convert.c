/* script_convert.c - between RESP and Lua: replies of commands into values, results into replies.
 *
 *   RESP2              RESP3              Lua                     back
 *   :1                                    1                       number: cut to an integer
 *   $3 abc                                "abc"                   $
 *   $-1  *-1                              false                   null; RESP3 scripts: a boolean
 *   +OK                                   {ok="OK"}               +
 *   -ERR x                                {err="ERR x"}           -
 *   *2                                    {…}                     up to the first nil
 *                      _                  nil                     null
 *                      #t                 true                    :1, or #t
 *                      ,1.5               {double=1.5}            $ or ,
 *                      (123               {big_number="123"}      $ or (
 *                      =txt:…             {verbatim_string={…}}   $ or =
 *                      %                  {map={…}}               * or %
 *                      ~                  {set={x=true}}          * or ~
 *
 * Replies are read where they lie, in the chunks of struct reply: lines never straddle two chunks
 * (reply.h, I2), so only the bytes of a string may have to be gathered.
 */
#include "core/mem.h"
#include "core/num.h"
#include "core/script_internal.h"
#include <assert.h>
#include <math.h>
#include <stdlib.h>

/* --- Replies into Lua --- */

struct cursor {
    const struct reply_chunk *chunk;
    size_t at;
    struct script_vm *vm;
};

static void cursor_settle(struct cursor *c)
{
    while (c->at == c->chunk->len && c->chunk->next != NULL) {
        c->chunk = c->chunk->next;
        c->at = 0;
    }
}

/* The next line without its end: type byte first. */
static struct slice cursor_line(struct cursor *c)
{
    cursor_settle(c);
    const char *line = c->chunk->data + c->at;
    const char *end = memchr(line, '\r', c->chunk->len - c->at);
    assert(end != NULL && end > line);
    c->at += (size_t)(end - line) + 2;
    assert(c->at <= c->chunk->len);
    return slice_of(line, (size_t)(end - line));
}

/* n bytes and the CRLF behind them. */
static const char *cursor_bytes(struct cursor *c, size_t n)
{
    cursor_settle(c);
    const char *data = c->chunk->data + c->at;
    if (c->chunk->len - c->at >= n) {
        c->at += n;
    } else {
        struct script_vm *vm = c->vm;
        if (vm->gathered_cap < n) {
            mem_free(vm->gathered);
            vm->gathered = mem_alloc(n);
            vm->gathered_cap = n;
        }
        for (size_t have = 0; have < n;) {
            cursor_settle(c);
            size_t part = c->chunk->len - c->at;
            part = part < n - have ? part : n - have;
            memcpy(vm->gathered + have, c->chunk->data + c->at, part);
            c->at += part;
            have += part;
        }
        data = vm->gathered;
    }
    cursor_settle(c);
    c->at += 2;
    return data;
}

static int64_t line_number(struct slice line)
{
    const char *p = line.ptr + 1, *end = line.ptr + line.len;
    bool negative = p < end && *p == '-';
    p += negative;
    uint64_t v = 0;
    while (p < end) {
        v = v * 10 + (uint64_t)(*p++ - '0');
    }
    return (int64_t)(negative ? 0 - v : v);
}

void script__push_error(lua_State *lua, const char *text, size_t len)
{
    const char *code = "ERR";
    size_t code_len = 3;
    if (len > 0 && text[0] == '-') {
        text++;
        len--;
        const char *blank = memchr(text, ' ', len);
        if (blank != NULL) {
            code = text;
            code_len = (size_t)(blank - text);
            len -= code_len + 1;
            text = blank + 1;
        }
    }
    while (len > 0 && (text[0] == '\r' || text[0] == '\n')) {
        text++;
        len--;
    }
    while (len > 0 && (text[len - 1] == '\r' || text[len - 1] == '\n')) {
        len--;
    }
    lua_createtable(lua, 0, 4); /* err, ignore_error_stats_update, source, line */
    lua_pushlstring(lua, code, code_len);
    lua_pushliteral(lua, " ");
    lua_pushlstring(lua, text, len);
    lua_concat(lua, 3);
    lua_setfield(lua, -2, "err");
}

static void push_value(lua_State *lua, struct cursor *c, int depth);

/* Skips a value: attributes are not shown to scripts. */
static void skip_value(lua_State *lua, struct cursor *c, int depth)
{
    push_value(lua, c, depth);
    lua_pop(lua, 1);
}

static void push_array(lua_State *lua, struct cursor *c, int64_t n, int depth)
{
    enum { PRESIZE_MAX = 1 << 20 };
    lua_createtable(lua, (int)(n < PRESIZE_MAX ? n : PRESIZE_MAX), 0);
    for (int64_t i = 1; i <= n; i++) {
        push_value(lua, c, depth);
        lua_rawseti(lua, -2, (int)i);
    }
}

/* {map = {k = v}}, {set = {k = true}}. A key that Lua does not take (nil, NaN) is left out. */
static void push_keyed(lua_State *lua, struct cursor *c, int64_t n, bool is_map, int depth)
{
    lua_createtable(lua, 0, 1);
    lua_createtable(lua, 0, (int)(n < (1 << 20) ? n : 1 << 20));
    for (int64_t i = 0; i < n; i++) {
        push_value(lua, c, depth);
        if (is_map) {
            push_value(lua, c, depth);
        } else {
            lua_pushboolean(lua, 1);
        }
        if (lua_isnil(lua, -2)) {
            lua_pop(lua, 2);
        } else {
            lua_rawset(lua, -3);
        }
    }
    lua_setfield(lua, -2, is_map ? "map" : "set");
}

static void push_field(lua_State *lua, const char *name, const char *data, size_t len)
{
    lua_createtable(lua, 0, 1);
    lua_pushlstring(lua, data, len);
    lua_setfield(lua, -2, name);
}

static void push_verbatim(lua_State *lua, struct cursor *c, size_t len)
{
    const char *data = cursor_bytes(c, len);
    lua_createtable(lua, 0, 1);
    lua_createtable(lua, 0, 2);
    lua_pushlstring(lua, data + 4, len - 4);
    lua_setfield(lua, -2, "string");
    lua_pushlstring(lua, data, 3);
    lua_setfield(lua, -2, "format");
    lua_setfield(lua, -2, "verbatim_string");
}

static void push_double(lua_State *lua, struct slice line)
{
    char text[128];
    size_t len = line.len - 1 < sizeof text - 1 ? line.len - 1 : sizeof text - 1;
    memcpy(text, line.ptr + 1, len);
    text[len] = 0;
    lua_createtable(lua, 0, 1);
    lua_pushnumber(lua, strtod(text, NULL));
    lua_setfield(lua, -2, "double");
}

static void push_command_error(lua_State *lua, struct slice line)
{
    script__push_error(lua, line.ptr, line.len);
    lua_pushboolean(lua, 1);
    lua_setfield(lua, -2, "ignore_error_stats_update");
}

static void push_bulk(lua_State *lua, struct cursor *c, int64_t n)
{
    if (n < 0) {
        lua_pushboolean(lua, 0);
    } else {
        const char *data = cursor_bytes(c, (size_t)n);
        lua_pushlstring(lua, data, (size_t)n);
    }
}

static void push_attribute(lua_State *lua, struct cursor *c, int64_t pairs, int depth)
{
    for (int64_t i = 0; i < 2 * pairs; i++) {
        skip_value(lua, c, depth);
    }
    push_value(lua, c, depth);
}

static void push_value(lua_State *lua, struct cursor *c, int depth)
{
    luaL_checkstack(lua, 6, "reply too deep");
    struct slice line = cursor_line(c);
    switch (line.ptr[0]) {
    case '$':
        push_bulk(lua, c, line_number(line));
        break;
    case ':':
        lua_pushnumber(lua, (lua_Number)line_number(line));
        break;
    case '+':
        push_field(lua, "ok", line.ptr + 1, line.len - 1);
        break;
    case '-':
        push_command_error(lua, line);
        break;
    case '*': {
        int64_t n = line_number(line);
        if (n < 0) {
            lua_pushboolean(lua, 0);
        } else {
            push_array(lua, c, n, depth + 1);
        }
        break;
    }
    case '%':
        push_keyed(lua, c, line_number(line), true, depth + 1);
        break;
    case '~':
        push_keyed(lua, c, line_number(line), false, depth + 1);
        break;
    case '_':
        lua_pushnil(lua);
        break;
    case '#':
        lua_pushboolean(lua, line.ptr[1] == 't');
        break;
    case ',':
        push_double(lua, line);
        break;
    case '(':
        push_field(lua, "big_number", line.ptr + 1, line.len - 1);
        break;
    case '=':
        push_verbatim(lua, c, (size_t)line_number(line));
        break;
    case '|':
        push_attribute(lua, c, line_number(line), depth + 1);
        break;
    default:
        luaL_error(lua, "unknown reply type");
    }
}

bool script__push_reply(lua_State *lua, struct script_vm *vm)
{
    enum { GATHERED_KEEP_MAX = 1 << 16 };
    if (vm->reply.head == NULL) {
        lua_pushnil(lua); /* a command without a reply: the host's mistake, harmless here */
        return false;
    }
    struct cursor c = {.chunk = vm->reply.head, .vm = vm};
    cursor_settle(&c);
    bool is_error = c.chunk->data[c.at] == '-';
    push_value(lua, &c, 0);
    reply_clear(&vm->reply);
    if (vm->gathered_cap > GATHERED_KEEP_MAX) {
        mem_free(vm->gathered);
        vm->gathered = NULL;
        vm->gathered_cap = 0;
    }
    return is_error;
}

/* --- Results into replies ---
 * Only raw access: no metamethod runs here, outside of lua_pcall (I2). */

const char *script__error_text(lua_State *lua)
{
    if (lua_isstring(lua, -1)) {
        return lua_tostring(lua, -1);
    }
    if (!lua_istable(lua, -1)) {
        return NULL;
    }
    lua_pushliteral(lua, "err");
    lua_rawget(lua, -2);
    /* A string that stands in the table stays when it is popped here. */
    const char *text = lua_type(lua, -1) == LUA_TSTRING ? lua_tostring(lua, -1) : NULL;
    lua_pop(lua, 1);
    return text;
}

static void write_value(lua_State *lua, int resp, struct reply *out);

static int64_t cut_to_integer(lua_Number v)
{
    /* What the conversion of x86 gives for all that does not fit; in C it is undefined. */
    if (!(v > -9223372036854775808.0 && v < 9223372036854775808.0)) {
        return INT64_MIN;
    }
    return (int64_t)v;
}

/* Pushes the field named at the stack position if it is of that type. */
static bool push_if(lua_State *lua, int table, int name, int type)
{
    lua_pushvalue(lua, name);
    lua_rawget(lua, table);
    if (lua_type(lua, -1) == type) {
        return true;
    }
    lua_pop(lua, 1);
    return false;
}

/* Line ends would end the reply early. Up to the first zero byte when c_string. */
static void write_one_line(lua_State *lua, char type, bool c_string, struct reply *out)
{
    size_t len;
    const char *text = lua_tolstring(lua, -1, &len);
    len = c_string ? strlen(text) : len;
    char small[256];
    char *copy = len < sizeof small ? small : mem_alloc(len + 1);
    for (size_t i = 0; i < len; i++) {
        copy[i] = text[i] == '\r' || text[i] == '\n' ? ' ' : text[i];
    }
    copy[len] = 0;
    if (type == '+') {
        reply_status(out, copy);
    } else {
        reply_bignum(out, copy, len);
    }
    if (copy != small) {
        mem_free(copy);
    }
}

/* {verbatim_string = {format = "txt", string = "…"}}; the inner table is on top. */
static bool write_verbatim(lua_State *lua, struct reply *out)
{
    int inner = lua_gettop(lua);
    lua_pushliteral(lua, "format");
    lua_rawget(lua, inner);
    lua_pushliteral(lua, "string");
    lua_rawget(lua, inner);
    bool good = lua_type(lua, -1) == LUA_TSTRING && lua_type(lua, -2) == LUA_TSTRING;
    if (good) {
        size_t len;
        const char *format = lua_tostring(lua, -2);
        const char *text = lua_tolstring(lua, -1, &len);
        char ext[4] = "   ";
        for (int i = 0; i < 3 && format[i] != 0; i++) {
            ext[i] = format[i];
        }
        reply_verbatim(out, ext, text, len);
    }
    lua_pop(lua, good ? 2 : 3); /* the inner table, too */
    return good;
}

/* The inner table of {map = …} or {set = …} is on top. */
static void write_keyed(lua_State *lua, int resp, bool is_map, struct reply *out)
{
    int inner = lua_gettop(lua);
    size_t n = 0;
    for (lua_pushnil(lua); lua_next(lua, inner); lua_pop(lua, 1)) {
        n++;
    }
    if (is_map) {
        reply_map(out, n);
    } else {
        reply_set(out, n);
    }
    lua_pushnil(lua);
    while (lua_next(lua, inner)) {
        lua_pushvalue(lua, -2);
        write_value(lua, resp, out); /* the key's copy */
        if (is_map) {
            write_value(lua, resp, out);
        } else {
            lua_pop(lua, 1);
        }
    }
}

static void write_array(lua_State *lua, int table, int resp, struct reply *out)
{
    int n = 0;
    for (;; n++) {
        lua_rawgeti(lua, table, n + 1);
        bool end = lua_isnil(lua, -1);
        lua_pop(lua, 1);
        if (end) {
            break;
        }
    }
    reply_array(out, (size_t)n);
    for (int i = 1; i <= n; i++) {
        lua_rawgeti(lua, table, i);
        write_value(lua, resp, out);
    }
}

/* The shapes of tables, in the order in which Redis looks for them. */
static void write_table(lua_State *lua, int table, int resp, struct reply *out)
{
    if (push_if(lua, table, STACK_ERR, LUA_TSTRING)) {
        reply_error(out, lua_tostring(lua, -1));
    } else if (push_if(lua, table, STACK_OK, LUA_TSTRING)) {
        write_one_line(lua, '+', true, out);
    } else if (push_if(lua, table, STACK_DOUBLE, LUA_TNUMBER)) {
        reply_double(out, lua_tonumber(lua, -1));
    } else if (push_if(lua, table, STACK_BIG_NUMBER, LUA_TSTRING)) {
        write_one_line(lua, '(', false, out);
    } else if (push_if(lua, table, STACK_VERBATIM, LUA_TTABLE) && write_verbatim(lua, out)) {
        lua_settop(lua, table); /* it is written */
    } else if (push_if(lua, table, STACK_MAP, LUA_TTABLE)) {
        write_keyed(lua, resp, true, out);
    } else if (push_if(lua, table, STACK_SET, LUA_TTABLE)) {
        write_keyed(lua, resp, false, out);
    } else {
        write_array(lua, table, resp, out);
    }
    lua_settop(lua, table - 1);
}

/* Writes the value on top of the stack and pops it. */
static void write_value(lua_State *lua, int resp, struct reply *out)
{
    enum { STACK_PER_LEVEL = 8 };
    switch (lua_type(lua, -1)) {
    case LUA_TSTRING: {
        size_t len;
        const char *data = lua_tolstring(lua, -1, &len);
        reply_bulk(out, data, len);
        break;
    }
    case LUA_TBOOLEAN:
        if (resp == 3) {
            reply_bool(out, lua_toboolean(lua, -1));
        } else if (lua_toboolean(lua, -1)) {
            reply_int(out, 1);
        } else {
            reply_null(out);
        }
        break;
    case LUA_TNUMBER:
        reply_int(out, cut_to_integer(lua_tonumber(lua, -1)));
        break;
    case LUA_TTABLE:
        if (lua_gettop(lua) > SCRIPT_REPLY_DEPTH_MAX || !lua_checkstack(lua, STACK_PER_LEVEL)) {
            reply_error(out, "ERR reached lua stack limit");
            break;
        }
        write_table(lua, lua_gettop(lua), resp, out);
        return;
    default:
        reply_null(out);
    }
    lua_pop(lua, 1);
}

/* Is the table on top an error that a command gave? */
static bool error_was_counted(lua_State *lua)
{
    lua_pushliteral(lua, "ignore_error_stats_update");
    lua_rawget(lua, -2);
    bool counted = lua_type(lua, -1) == LUA_TBOOLEAN && lua_toboolean(lua, -1);
    lua_pop(lua, 1);
    return counted;
}

void script__reply_value(struct script_state *state, struct script_result *result,
                         struct reply *out)
{
    lua_State *lua = state->lua;
    state->must_have = true;
    if (lua_istable(lua, -1) && script__error_text(lua) != NULL) {
        result->failed = true;
        result->error_counted = error_was_counted(lua);
    }
    write_value(lua, state->run->resp, out);
    state->must_have = false;
}

/* " script: <name>, on @user_script:1." when the handler knew where. */
static bool where_of(lua_State *lua, const char **source, int *line)
{
    lua_pushliteral(lua, "source");
    lua_rawget(lua, -2);
    lua_pushliteral(lua, "line");
    lua_rawget(lua, -3);
    bool known = lua_type(lua, -2) == LUA_TSTRING && lua_type(lua, -1) == LUA_TNUMBER;
    *source = known ? lua_tostring(lua, -2) : NULL;
    *line = known ? (int)lua_tonumber(lua, -1) : 0;
    lua_pop(lua, 2);
    return known;
}

void script__reply_failure(struct script_state *state, const char *name,
                           struct script_result *result, struct reply *out)
{
    lua_State *lua = state->lua;
    state->must_have = true;
    result->failed = true;
    const char *text = script__error_text(lua);
    if (!lua_istable(lua, -1)) {
        reply_errorf(out, "ERR Error running script %s, %.100s", name,
                     text != NULL ? text : "execution failure");
    } else {
        const char *source;
        int line;
        result->error_counted = error_was_counted(lua);
        text = text != NULL ? text : "ERR unknown error";
        if (where_of(lua, &source, &line)) {
            reply_errorf(out, "%s script: %s, on %s:%d.", text, name, source, line);
        } else {
            reply_error(out, text);
        }
    }
    lua_pop(lua, 1);
    state->must_have = false;
}
