/* script_lib_struct.c - the library `struct` of scripts: values to and from packed bytes.
 *
 *   b B char   h H short   l L long   T size_t   i I int, with a count of bytes: i8
 *   f float    d double    x a pad byte
 *   s a string up to a zero byte      cn n bytes; c0: all of the argument, or as many as the number
 *                                     unpacked before it says
 *   < > byte order     !n alignment to at most n     blank: nothing
 *
 * Formats and errors are those of the library that Redis ships (inf.puc-rio.br/~roberto/struct).
 * Where its C leaves arithmetic undefined, results are those of x86-64.
 */
#include "core/script_internal.h"
#include <ctype.h>
#include <limits.h>

enum { INT_BYTES_MAX = 32, ALIGN_MAX = 8 };

struct layout {
    const char *format; /* what has not been read of it */
    bool big_endian;
    size_t align;
};

static struct layout layout_of(const char *format)
{
    return (struct layout){.format = format, .big_endian = false, .align = 1};
}

static int read_number(lua_State *lua, struct layout *at, int otherwise)
{
    if (!isdigit((unsigned char)*at->format)) {
        return otherwise;
    }
    int64_t n = 0;
    while (isdigit((unsigned char)*at->format)) {
        n = n * 10 + (*at->format++ - '0');
        if (n > INT_MAX) {
            luaL_error(lua, "integral size overflow");
        }
    }
    return (int)n;
}

/* Size of the option's value, whose count is read from the format; 0: not fixed, or none. */
static size_t option_size(lua_State *lua, char option, struct layout *at)
{
    switch (option) {
    case 'b': case 'B': case 'x':
        return 1;
    case 'h': case 'H':
        return sizeof(short);
    case 'l': case 'L': case 'T':
        return sizeof(long);
    case 'f':
        return sizeof(float);
    case 'd':
        return sizeof(double);
    case 'c':
        return (size_t)read_number(lua, at, 1);
    case 'i': case 'I': {
        int n = read_number(lua, at, sizeof(int));
        if (n > INT_BYTES_MAX) {
            luaL_error(lua, "integral size %d is larger than limit of %d", n, INT_BYTES_MAX);
        }
        return (size_t)n;
    }
    default:
        return 0;
    }
}

static size_t padding(const struct layout *at, char option, size_t position, size_t size)
{
    if (size == 0 || option == 'c') {
        return 0;
    }
    size = size > at->align ? at->align : size;
    return (size - (position & (size - 1))) & (size - 1);
}

/* Options that stand for no value. */
static void control(lua_State *lua, char option, struct layout *at)
{
    switch (option) {
    case ' ':
        return;
    case '>':
        at->big_endian = true;
        return;
    case '<':
        at->big_endian = false;
        return;
    case '!': {
        int n = read_number(lua, at, ALIGN_MAX);
        if (n <= 0 || (n & (n - 1)) != 0) {
            luaL_error(lua, "alignment %d is not a power of 2", n);
        }
        at->align = (size_t)n;
        return;
    }
    default:
        luaL_argerror(lua, 1, lua_pushfstring(lua, "invalid format option '%c'", option));
    }
}

static uint64_t to_bits(lua_Number n)
{
    if (n < 0 || n != n) {
        return n > -9223372036854775808.0 ? (uint64_t)(int64_t)n : (uint64_t)INT64_MIN;
    }
    return n < 18446744073709551616.0 ? (uint64_t)n : 0;
}

static void write_integer(luaL_Buffer *b, uint64_t value, const struct layout *at, size_t size)
{
    char bytes[INT_BYTES_MAX];
    for (size_t i = 0; i < size; i++) {
        bytes[at->big_endian ? size - 1 - i : i] = (char)value;
        value >>= 8;
    }
    luaL_addlstring(b, bytes, size);
}

static lua_Number read_integer(const char *data, const struct layout *at, bool is_signed,
                               size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++) {
        value = value << 8 | (unsigned char)data[at->big_endian ? i : size - 1 - i];
    }
    if (!is_signed) {
        return (lua_Number)value;
    }
    uint64_t sign = UINT64_MAX << ((size * 8 - 1) & 63);
    return (lua_Number)(int64_t)(value & sign ? value | sign : value);
}

static void swap_bytes(char *bytes, size_t n, const struct layout *at)
{
    for (size_t i = 0; at->big_endian && i < n / 2; i++) {
        char other = bytes[i];
        bytes[i] = bytes[n - 1 - i];
        bytes[n - 1 - i] = other;
    }
}

static void write_double(lua_State *lua, luaL_Buffer *b, int arg, size_t size,
                         const struct layout *at)
{
    char bytes[sizeof(double)];
    double d = luaL_checknumber(lua, arg);
    float f = (float)d;
    memcpy(bytes, size == sizeof f ? (void *)&f : (void *)&d, size);
    swap_bytes(bytes, size, at);
    luaL_addlstring(b, bytes, size);
}

static int struct_pack(lua_State *lua)
{
    struct layout at = layout_of(luaL_checkstring(lua, 1));
    lua_pushnil(lua); /* what a missing argument is */
    luaL_Buffer b;
    luaL_buffinit(lua, &b);
    size_t total = 0;
    int arg = 2;
    while (*at.format != 0) {
        char option = *at.format++;
        size_t size = option_size(lua, option, &at);
        for (size_t pad = padding(&at, option, total, size); pad > 0; pad--) {
            luaL_addchar(&b, 0);
            total++;
        }
        switch (option) {
        case 'b': case 'B': case 'h': case 'H': case 'l': case 'L': case 'T': case 'i': case 'I':
            write_integer(&b, to_bits(luaL_checknumber(lua, arg++)), &at, size);
            break;
        case 'x':
            luaL_addchar(&b, 0);
            break;
        case 'f': case 'd':
            write_double(lua, &b, arg++, size, &at);
            break;
        case 'c': case 's': {
            size_t len;
            const char *text = luaL_checklstring(lua, arg++, &len);
            size = size == 0 ? len : size;
            luaL_argcheck(lua, len >= size, arg, "string too short");
            luaL_addlstring(&b, text, size);
            if (option == 's') {
                luaL_addchar(&b, 0);
                size++;
            }
            break;
        }
        default:
            control(lua, option, &at);
        }
        total += size;
    }
    luaL_pushresult(&b);
    return 1;
}

/* Position in the data, from 0, and what was unpacked so far. */
struct unpacking {
    const char *data;
    size_t len, position;
    int results;
};

static void check_there(lua_State *lua, const struct unpacking *u, size_t size)
{
    luaL_argcheck(lua, size <= u->len && u->position <= u->len - size, 2, "data string too short");
}

/* "c0": as many bytes as the number before it, which is taken back. */
static size_t previous_size(lua_State *lua, struct unpacking *u)
{
    if (u->results == 0 || !lua_isnumber(lua, -1)) {
        luaL_error(lua, "format 'c0' needs a previous size");
    }
    lua_Number n = lua_tonumber(lua, -1);
    lua_pop(lua, 1);
    u->results--;
    return n >= 0 && n <= (lua_Number)u->len ? (size_t)n : n > -1 && n < 0 ? 0 : SIZE_MAX;
}

static void push_double(lua_State *lua, const char *data, size_t size, const struct layout *at)
{
    char bytes[sizeof(double)];
    memcpy(bytes, data, size);
    swap_bytes(bytes, size, at);
    float f;
    double d;
    if (size == sizeof f) {
        memcpy(&f, bytes, size);
        d = f;
    } else {
        memcpy(&d, bytes, size);
    }
    lua_pushnumber(lua, d);
}

/* Pushes the value of an option, if it has one; returns the bytes that it took. */
static size_t unpack_option(lua_State *lua, char option, size_t size, struct layout *at,
                            struct unpacking *u)
{
    const char *data = u->data + u->position;
    switch (option) {
    case 'b': case 'B': case 'h': case 'H': case 'l': case 'L': case 'T': case 'i': case 'I':
        lua_pushnumber(lua, read_integer(data, at, islower((unsigned char)option), size));
        break;
    case 'x':
        return size;
    case 'f': case 'd':
        push_double(lua, data, size, at);
        break;
    case 'c':
        if (size == 0) {
            size = previous_size(lua, u);
            check_there(lua, u, size);
        }
        lua_pushlstring(lua, data, size);
        break;
    case 's': {
        const char *end = memchr(data, 0, u->len - u->position);
        if (end == NULL) {
            luaL_error(lua, "unfinished string in data");
        }
        lua_pushlstring(lua, data, (size_t)(end - data));
        size = (size_t)(end - data) + 1;
        break;
    }
    default:
        control(lua, option, at);
        return size;
    }
    u->results++;
    return size;
}

static int struct_unpack(lua_State *lua)
{
    struct layout at = layout_of(luaL_checkstring(lua, 1));
    struct unpacking u = {0};
    u.data = luaL_checklstring(lua, 2, &u.len);
    u.position = (size_t)luaL_optinteger(lua, 3, 1);
    luaL_argcheck(lua, u.position > 0, 3, "offset must be 1 or greater");
    u.position--;
    while (*at.format != 0) {
        char option = *at.format++;
        size_t size = option_size(lua, option, &at);
        u.position += padding(&at, option, u.position, size);
        check_there(lua, &u, size);
        luaL_checkstack(lua, 2, "too many results");
        u.position += unpack_option(lua, option, size, &at, &u);
    }
    lua_pushinteger(lua, (lua_Integer)(u.position + 1));
    return u.results + 1;
}

static int struct_size(lua_State *lua)
{
    struct layout at = layout_of(luaL_checkstring(lua, 1));
    size_t position = 0;
    while (*at.format != 0) {
        char option = *at.format++;
        size_t size = option_size(lua, option, &at);
        position += padding(&at, option, position, size);
        if (option == 's') {
            luaL_argerror(lua, 1, "option 's' has no fixed size");
        } else if (option == 'c' && size == 0) {
            luaL_argerror(lua, 1, "option 'c0' has no fixed size");
        }
        if (!isalnum((unsigned char)option)) {
            control(lua, option, &at);
        }
        position += size;
    }
    lua_pushinteger(lua, (lua_Integer)position);
    return 1;
}

int script__open_struct(lua_State *lua)
{
    static const luaL_Reg functions[] = {
        {"pack", struct_pack}, {"unpack", struct_unpack}, {"size", struct_size}, {NULL, NULL},
    };
    lua_newtable(lua);
    luaL_register(lua, NULL, functions);
    return 1;
}
