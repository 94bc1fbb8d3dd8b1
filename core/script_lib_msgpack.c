/* script_lib_msgpack.c - the library `cmsgpack` of scripts: MessagePack (msgpack.org, the format of
 * 2011: raw strings, no bin and no ext types), with the choices of the library that Redis ships:
 *
 *   numbers   integral ones as the shortest integer, others as float if that is exact, else double
 *   tables    an array if its keys are 1..n without a hole (so an empty table is an array), else a map
 *   nesting   tables deeper than 16 are nil
 *   the rest  nil
 *
 *   pack(…) concatenates; unpack(s) gives all values, unpack_one(s [, at]) and
 *   unpack_limit(s, n [, at]) the next offset (-1 at the end) and up to n values.
 */
#include "core/script_internal.h"
#include <limits.h>
#include <math.h>

enum { NESTING_MAX = 16 };

/* --- Packing --- */

/* A type byte and n bytes of v, big endian. */
static void add_big_endian(lua_State *lua, struct script_vm *vm, uint8_t type, uint64_t v, int n)
{
    char *out = script__scratch_room(lua, vm, 9);
    out[0] = (char)type;
    for (int i = 0; i < n; i++) {
        out[1 + i] = (char)(v >> (8 * (n - 1 - i)));
    }
    script__scratch_wrote(vm, (size_t)n + 1);
}

static void pack_integer(lua_State *lua, struct script_vm *vm, int64_t n)
{
    uint64_t bits = (uint64_t)n;
    if (n >= -32 && n <= 127) {
        add_big_endian(lua, vm, (uint8_t)bits, 0, 0);
    } else if (n > 0) {
        if (n <= UINT8_MAX) {
            add_big_endian(lua, vm, 0xcc, bits, 1);
        } else if (n <= UINT16_MAX) {
            add_big_endian(lua, vm, 0xcd, bits, 2);
        } else if (n <= UINT32_MAX) {
            add_big_endian(lua, vm, 0xce, bits, 4);
        } else {
            add_big_endian(lua, vm, 0xcf, bits, 8);
        }
    } else if (n >= INT8_MIN) {
        add_big_endian(lua, vm, 0xd0, bits, 1);
    } else if (n >= INT16_MIN) {
        add_big_endian(lua, vm, 0xd1, bits, 2);
    } else if (n >= INT32_MIN) {
        add_big_endian(lua, vm, 0xd2, bits, 4);
    } else {
        add_big_endian(lua, vm, 0xd3, bits, 8);
    }
}

static void pack_number(lua_State *lua, struct script_vm *vm, lua_Number d)
{
    if (d >= -9223372036854775808.0 && d < 9223372036854775808.0 && d == (lua_Number)(int64_t)d) {
        pack_integer(lua, vm, (int64_t)d);
        return;
    }
    uint64_t bits = 0;
    float f = (float)d;
    if (d == (double)f) {
        uint32_t small;
        memcpy(&small, &f, sizeof small);
        add_big_endian(lua, vm, 0xca, small, 4);
    } else {
        memcpy(&bits, &d, sizeof bits);
        add_big_endian(lua, vm, 0xcb, bits, 8);
    }
}

static void pack_string(lua_State *lua, struct script_vm *vm)
{
    size_t len;
    const char *text = lua_tolstring(lua, -1, &len);
    if (len < 32) {
        add_big_endian(lua, vm, (uint8_t)(0xa0 | len), 0, 0);
    } else if (len <= UINT8_MAX) {
        add_big_endian(lua, vm, 0xd9, len, 1);
    } else if (len <= UINT16_MAX) {
        add_big_endian(lua, vm, 0xda, len, 2);
    } else {
        add_big_endian(lua, vm, 0xdb, len, 4);
    }
    script__scratch_add(lua, vm, text, len);
}

/* The keys of the table on top are 1..n; then n, else -1. */
static int array_length(lua_State *lua)
{
    int top = lua_gettop(lua);
    int count = 0, highest = 0;
    luaL_checkstack(lua, 2, "in function table_is_an_array");
    lua_pushnil(lua);
    while (lua_next(lua, top)) {
        lua_pop(lua, 1);
        lua_Number n = lua_type(lua, -1) == LUA_TNUMBER ? lua_tonumber(lua, -1) : 0;
        if (!(n > 0 && n <= INT_MAX && n == (lua_Number)(int)n)) {
            lua_settop(lua, top);
            return -1;
        }
        highest = n > highest ? (int)n : highest;
        count++;
    }
    return highest == count ? count : -1;
}

static void pack_value(lua_State *lua, struct script_vm *vm, int level);

static void pack_count(lua_State *lua, struct script_vm *vm, size_t n, uint8_t small, uint8_t large)
{
    if (n < 16) {
        add_big_endian(lua, vm, (uint8_t)(small | n), 0, 0);
    } else if (n <= UINT16_MAX) {
        add_big_endian(lua, vm, large, n, 2);
    } else {
        add_big_endian(lua, vm, (uint8_t)(large + 1), n, 4);
    }
}

static void pack_table(lua_State *lua, struct script_vm *vm, int level)
{
    int n = array_length(lua);
    luaL_checkstack(lua, 3, "in function mp_encode_lua_table_as_map");
    if (n >= 0) {
        pack_count(lua, vm, (size_t)n, 0x90, 0xdc);
        for (int i = 1; i <= n; i++) {
            lua_rawgeti(lua, -1, i);
            pack_value(lua, vm, level + 1);
        }
        return;
    }
    size_t pairs = 0;
    for (lua_pushnil(lua); lua_next(lua, -2); lua_pop(lua, 1)) {
        pairs++;
    }
    pack_count(lua, vm, pairs, 0x80, 0xde);
    lua_pushnil(lua);
    while (lua_next(lua, -2)) {
        lua_pushvalue(lua, -2);
        pack_value(lua, vm, level + 1);
        pack_value(lua, vm, level + 1);
    }
}

/* Packs the value on top and pops it. */
static void pack_value(lua_State *lua, struct script_vm *vm, int level)
{
    switch (lua_type(lua, -1)) {
    case LUA_TSTRING:
        pack_string(lua, vm);
        break;
    case LUA_TBOOLEAN:
        add_big_endian(lua, vm, lua_toboolean(lua, -1) ? 0xc3 : 0xc2, 0, 0);
        break;
    case LUA_TNUMBER:
        pack_number(lua, vm, lua_tonumber(lua, -1));
        break;
    case LUA_TTABLE:
        if (level < NESTING_MAX) {
            luaL_checkstack(lua, 3, "in function mp_encode_lua_type");
            bool is_proxy = script__push_behind_proxy(lua, -1);
            pack_table(lua, vm, level);
            lua_pop(lua, is_proxy);
            break;
        }
        /* fall through */
    default:
        add_big_endian(lua, vm, 0xc0, 0, 0);
    }
    lua_pop(lua, 1);
}

static int msgpack_pack(lua_State *lua)
{
    int argc = lua_gettop(lua);
    if (argc == 0) {
        return luaL_argerror(lua, 0, "MessagePack pack needs input.");
    }
    if (!lua_checkstack(lua, argc)) {
        return luaL_argerror(lua, 0, "Too many arguments for MessagePack pack.");
    }
    struct script_vm *vm = script__scratch_start(lua);
    for (int i = 1; i <= argc; i++) {
        lua_pushvalue(lua, i);
        pack_value(lua, vm, 0);
    }
    script__scratch_push(lua, vm);
    return 1;
}

/* --- Unpacking --- */

struct input {
    const uint8_t *at;
    size_t left;
};

/* n bytes, consumed. */
static const uint8_t *take(lua_State *lua, struct input *in, size_t n)
{
    if (in->left < n) {
        luaL_error(lua, "Missing bytes in input.");
    }
    const uint8_t *data = in->at;
    in->at += n;
    in->left -= n;
    return data;
}

static uint64_t take_big_endian(lua_State *lua, struct input *in, size_t n)
{
    const uint8_t *data = take(lua, in, n);
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++) {
        v = v << 8 | data[i];
    }
    return v;
}

static void unpack_value(lua_State *lua, struct input *in);

static void unpack_array(lua_State *lua, struct input *in, uint64_t n)
{
    lua_newtable(lua);
    luaL_checkstack(lua, 2, "in function mp_decode_to_lua_array");
    for (uint64_t i = 1; i <= n; i++) {
        unpack_value(lua, in);
        lua_rawseti(lua, -2, (int)i); /* i is below INT_MAX: each took a byte of a Lua string */
    }
}

static void unpack_map(lua_State *lua, struct input *in, uint64_t n)
{
    lua_newtable(lua);
    luaL_checkstack(lua, 3, "in function mp_decode_to_lua_hash");
    for (uint64_t i = 0; i < n; i++) {
        unpack_value(lua, in);
        unpack_value(lua, in);
        lua_settable(lua, -3); /* raises for nil and NaN */
    }
}

static void unpack_string(lua_State *lua, struct input *in, uint64_t len)
{
    const uint8_t *data = take(lua, in, len);
    lua_pushlstring(lua, (const char *)data, len);
}

static void unpack_float(lua_State *lua, struct input *in, size_t bytes)
{
    uint64_t bits = take_big_endian(lua, in, bytes);
    double d;
    if (bytes == sizeof(float)) {
        uint32_t small = (uint32_t)bits;
        float f;
        memcpy(&f, &small, sizeof f);
        d = f;
    } else {
        memcpy(&d, &bits, sizeof d);
    }
    lua_pushnumber(lua, d);
}

static void push_integer(lua_State *lua, int64_t n)
{
    lua_pushnumber(lua, (lua_Number)n);
}

/* Types that are known by some bits of their first byte. */
static void unpack_small(lua_State *lua, struct input *in, uint8_t type)
{
    if (type < 0x80) {
        push_integer(lua, type);
    } else if (type >= 0xe0) {
        push_integer(lua, (int8_t)type);
    } else if (type < 0x90) {
        unpack_map(lua, in, type & 15);
    } else if (type < 0xa0) {
        unpack_array(lua, in, type & 15);
    } else if (type < 0xc0) {
        unpack_string(lua, in, type & 31);
    } else {
        luaL_error(lua, "Bad data format in input.");
    }
}

/* Pushes the next value. */
static void unpack_value(lua_State *lua, struct input *in)
{
    luaL_checkstack(lua, 1,
                    "too many return values at once; use unpack_one or unpack_limit instead.");
    uint8_t type = *take(lua, in, 1);
    switch (type) {
    case 0xc0:
        lua_pushnil(lua);
        break;
    case 0xc2: case 0xc3:
        lua_pushboolean(lua, type & 1);
        break;
    case 0xca:
        unpack_float(lua, in, 4);
        break;
    case 0xcb:
        unpack_float(lua, in, 8);
        break;
    case 0xcc: case 0xcd: case 0xce: case 0xcf: /* the largest come out negative, as in Redis */
        push_integer(lua, (int64_t)take_big_endian(lua, in, (size_t)1 << (type - 0xcc)));
        break;
    case 0xd0:
        push_integer(lua, (int8_t)take_big_endian(lua, in, 1));
        break;
    case 0xd1:
        push_integer(lua, (int16_t)take_big_endian(lua, in, 2));
        break;
    case 0xd2:
        push_integer(lua, (int32_t)take_big_endian(lua, in, 4));
        break;
    case 0xd3:
        push_integer(lua, (int64_t)take_big_endian(lua, in, 8));
        break;
    case 0xd9: case 0xda: case 0xdb:
        unpack_string(lua, in, take_big_endian(lua, in, (size_t)1 << (type - 0xd9)));
        break;
    case 0xdc: case 0xdd:
        unpack_array(lua, in, take_big_endian(lua, in, type == 0xdc ? 2 : 4));
        break;
    case 0xde: case 0xdf:
        unpack_map(lua, in, take_big_endian(lua, in, type == 0xde ? 2 : 4));
        break;
    default:
        unpack_small(lua, in, type);
    }
}

/* The stack holds the string only. limit and offset 0: all values, without the offset. */
static int unpack_all(lua_State *lua, lua_Integer limit, lua_Integer offset)
{
    size_t len;
    const char *text = luaL_checklstring(lua, 1, &len);
    bool all = limit == 0 && offset == 0;
    if (offset < 0 || limit < 0) {
        return luaL_error(lua, "Invalid request to unpack with offset of %d and limit of %d.",
                          (int)offset, (int)len);
    }
    if ((size_t)offset > len) {
        return luaL_error(lua, "Start offset %d greater than input length %d.", (int)offset,
                          (int)len);
    }
    struct input in = {(const uint8_t *)text + offset, len - (size_t)offset};
    int count = 0;
    for (; in.left > 0 && count < (all ? INT_MAX : limit); count++) {
        unpack_value(lua, &in);
    }
    if (all) {
        return count;
    }
    luaL_checkstack(lua, 1, "in function mp_unpack_full");
    lua_pushinteger(lua, in.left == 0 ? -1 : (lua_Integer)(len - in.left));
    lua_insert(lua, 2);
    return count + 1;
}

static int msgpack_unpack(lua_State *lua)
{
    return unpack_all(lua, 0, 0);
}

static int msgpack_unpack_one(lua_State *lua)
{
    lua_Integer offset = luaL_optinteger(lua, 2, 0);
    lua_settop(lua, lua_gettop(lua) > 1 ? 1 : lua_gettop(lua));
    return unpack_all(lua, 1, offset);
}

static int msgpack_unpack_limit(lua_State *lua)
{
    lua_Integer limit = luaL_checkinteger(lua, 2);
    lua_Integer offset = luaL_optinteger(lua, 3, 0);
    lua_settop(lua, 1);
    return unpack_all(lua, limit, offset);
}

int script__open_msgpack(lua_State *lua)
{
    static const luaL_Reg functions[] = {
        {"pack", msgpack_pack},
        {"unpack", msgpack_unpack},
        {"unpack_one", msgpack_unpack_one},
        {"unpack_limit", msgpack_unpack_limit},
        {NULL, NULL},
    };
    static const char *const about[][2] = {
        {"_NAME", "cmsgpack"},
        {"_VERSION", "lua-cmsgpack 0.4.0"}, /* what scripts may ask for */
        {"_COPYRIGHT", "Copyright (C) 2012, Salvatore Sanfilippo"},
        {"_DESCRIPTION", "MessagePack C implementation for Lua"},
    };
    lua_newtable(lua);
    luaL_register(lua, NULL, functions);
    for (size_t i = 0; i < sizeof about / sizeof *about; i++) {
        lua_pushstring(lua, about[i][1]);
        lua_setfield(lua, -2, about[i][0]);
    }
    return 1;
}
