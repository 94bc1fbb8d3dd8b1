/* core_script_libs_canary.c - the fuzzer of core_script_libs.c against a cmsgpack with a bug in it:
 * strings of more than two bytes lose their last one. If this test stops failing, the fuzzer has
 * gone blind. */
#include <lua5.1/lua.h>

static void planted_pushlstring(lua_State *lua, const char *text, size_t len)
{
    lua_pushlstring(lua, text, len > 2 && len < 100 ? len - 1 : len);
}
#define lua_pushlstring planted_pushlstring
#include "core/script_lib_msgpack.c"
#undef lua_pushlstring
#include "core_script_libs.c"
