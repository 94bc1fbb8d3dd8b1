/* script_lib_bit.c - the library `bit` of scripts: operations on 32 bits, as Lua BitOp defines them
 * (bitop.luajit.org, semantics): arguments are taken modulo 2^32, results are signed. Debian's
 * liblua5.1-bitop is not used: its tohex writes outside of its buffer for a negative count. */
#include "core/script_internal.h"

/* A number as 32 bits. Adding 2^52 + 2^51 rounds to an integer and leaves its low bits in the low
 * bits of the double, whatever its sign. */
static uint32_t arg_bits(lua_State *lua, int i)
{
    double shifted = luaL_checknumber(lua, i) + 6755399441055744.0;
    uint64_t raw;
    memcpy(&raw, &shifted, sizeof raw);
    return (uint32_t)raw;
}

static int push_bits(lua_State *lua, uint32_t bits)
{
    lua_pushnumber(lua, (lua_Number)(int32_t)bits);
    return 1;
}

static int bit_tobit(lua_State *lua)
{
    return push_bits(lua, arg_bits(lua, 1));
}

static int bit_bnot(lua_State *lua)
{
    return push_bits(lua, ~arg_bits(lua, 1));
}

static int bit_band(lua_State *lua)
{
    uint32_t bits = arg_bits(lua, 1);
    for (int i = lua_gettop(lua); i > 1; i--) {
        bits &= arg_bits(lua, i);
    }
    return push_bits(lua, bits);
}

static int bit_bor(lua_State *lua)
{
    uint32_t bits = arg_bits(lua, 1);
    for (int i = lua_gettop(lua); i > 1; i--) {
        bits |= arg_bits(lua, i);
    }
    return push_bits(lua, bits);
}

static int bit_bxor(lua_State *lua)
{
    uint32_t bits = arg_bits(lua, 1);
    for (int i = lua_gettop(lua); i > 1; i--) {
        bits ^= arg_bits(lua, i);
    }
    return push_bits(lua, bits);
}

static int bit_lshift(lua_State *lua)
{
    uint32_t bits = arg_bits(lua, 1);
    return push_bits(lua, bits << (arg_bits(lua, 2) & 31));
}

static int bit_rshift(lua_State *lua)
{
    uint32_t bits = arg_bits(lua, 1);
    return push_bits(lua, bits >> (arg_bits(lua, 2) & 31));
}

static int bit_arshift(lua_State *lua)
{
    uint32_t bits = arg_bits(lua, 1);
    return push_bits(lua, (uint32_t)((int32_t)bits >> (arg_bits(lua, 2) & 31)));
}

static uint32_t rotate_left(uint32_t bits, uint32_t by)
{
    return bits << (by & 31) | bits >> (-by & 31);
}

static int bit_rol(lua_State *lua)
{
    uint32_t bits = arg_bits(lua, 1);
    return push_bits(lua, rotate_left(bits, arg_bits(lua, 2)));
}

static int bit_ror(lua_State *lua)
{
    uint32_t bits = arg_bits(lua, 1);
    return push_bits(lua, rotate_left(bits, -arg_bits(lua, 2)));
}

static int bit_bswap(lua_State *lua)
{
    return push_bits(lua, __builtin_bswap32(arg_bits(lua, 1)));
}

/* The second argument says how many digits, from the right; negative: in upper case. */
static int bit_tohex(lua_State *lua)
{
    enum { DIGITS_MAX = 8 };
    uint32_t bits = arg_bits(lua, 1);
    int64_t n = lua_isnone(lua, 2) ? DIGITS_MAX : (int32_t)arg_bits(lua, 2);
    const char *digits = n < 0 ? "0123456789ABCDEF" : "0123456789abcdef";
    n = n < 0 ? -n : n;
    n = n > DIGITS_MAX ? DIGITS_MAX : n;
    char text[DIGITS_MAX];
    for (int64_t i = n - 1; i >= 0; i--) {
        text[i] = digits[bits & 15];
        bits >>= 4;
    }
    lua_pushlstring(lua, text, (size_t)n);
    return 1;
}

int script__open_bit(lua_State *lua)
{
    static const luaL_Reg functions[] = {
        {"tobit", bit_tobit}, {"bnot", bit_bnot}, {"band", bit_band}, {"bor", bit_bor},
        {"bxor", bit_bxor}, {"lshift", bit_lshift}, {"rshift", bit_rshift},
        {"arshift", bit_arshift}, {"rol", bit_rol}, {"ror", bit_ror}, {"bswap", bit_bswap},
        {"tohex", bit_tohex}, {NULL, NULL},
    };
    lua_newtable(lua);
    luaL_register(lua, NULL, functions);
    return 1;
}
