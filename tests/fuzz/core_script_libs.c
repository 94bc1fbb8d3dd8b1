/* core_script_libs.c - fuzzes what scripts decode with cmsgpack, cjson and struct: bytes that strangers
 * have stored.
 *
 *   F1  What cmsgpack or cjson decode, and encode and decode once more (nil and depth are lost on the
 *       way), keeps its encoded length from then on (the order of a map's keys may change).
 *   F2  struct.unpack never claims to have read beyond the data.
 *   F3  The rest is the sanitizers': nothing is read outside of the data, nothing overflows the stack.
 *   F4  Memory does not grow: all garbage collected, the state is as large as before.
 *
 * Built for libFuzzer (-DFUZZ_LIBFUZZER -fsanitize=fuzzer,address) it is its target; otherwise main
 * mutates the seeds in a bounded number of rounds from a fixed seed. core_script_libs_canary.c builds
 * it against a cmsgpack that loses a byte: that one must fail. */
#include "core/mem.h"
#include "core/script.h"
#include <stdio.h>
#include <stdlib.h>

enum { ROUNDS = 200000, INPUT_MAX = 256, MUTATIONS_MAX = 5, SLACK_BYTES = 200000 };

static const char check_script[] =
    "local kind, data = ARGV[1], ARGV[2]\n"
    "local function again(pack, unpack, ok, ...)\n"
    "  if not ok or select('#', ...) == 0 then return 0 end\n"
    "  local fine, p = pcall(pack, ...)\n"
    "  if not fine then return 0 end\n"
    "  fine, p = pcall(function() return pack(unpack(p)) end)\n"
    "  if not fine then return 0 end -- a key beyond the depth has become nil\n"
    "  return #p == #pack(unpack(p)) and 0 or 1\n"
    "end\n"
    "if kind == 'm' then return again(cmsgpack.pack, cmsgpack.unpack, pcall(cmsgpack.unpack, data)) end\n"
    "if kind == 'j' then return again(cjson.encode, cjson.decode, pcall(cjson.decode, data)) end\n"
    "if kind == 'o' then pcall(cmsgpack.unpack_limit, data, 2, 1) return 0 end\n"
    "local format, bytes = data:match('^([^|]*)|(.*)$')\n"
    "if not format then return 0 end\n"
    "pcall(struct.size, format)\n"
    "local function last(ok, ...)\n"
    "  local n = select('#', ...)\n"
    "  return ok and select(n, ...) > #bytes + 1 and 1 or 0\n"
    "end\n"
    "return last(pcall(struct.unpack, format, bytes))";

static const uint8_t *current;
static size_t current_len;

static void fail(const char *what)
{
    fprintf(stderr, "%s; input:", what);
    for (size_t i = 0; i < current_len; i++) {
        fprintf(stderr, " %02x", current[i]);
    }
    fprintf(stderr, "\n");
#ifdef FUZZ_LIBFUZZER
    abort();
#else
    exit(1);
#endif
}

static void no_call(void *ctx, const struct slice *argv, uint32_t argc, struct reply *out)
{
    reply_ok(out);
}

static enum script_verdict no_tick(void *ctx)
{
    return SCRIPT_GO_ON;
}

static const struct script_host host = {.call = no_call, .tick = no_tick};
static struct script_vm *vm;
static struct script *script;
static struct reply out;

static void start(void)
{
    reply_init(&out, 2);
    vm = script_vm_create(&host);
    script = script_create(slice_str(check_script), NULL, &out);
    if (script == NULL || !script_compile(vm, script, &out)) {
        fail("the script does not compile");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (vm == NULL) {
        start();
    }
    if (len == 0) {
        return 0;
    }
    current = data;
    current_len = len;
    static const char *const kinds[] = {"m", "j", "s", "o"};
    struct slice args[] = {slice_str(kinds[data[0] & 3]),
                           slice_of((const char *)data + 1, len - 1)};
    struct script_call call = {.args = args, .nargs = 2};
    script_run(vm, script, &call, &out);
    bool fine = out.total_bytes == 4 && memcmp(out.head->data, ":0\r\n", 4) == 0;
    if (!fine) {
        fprintf(stderr, "%.*s", (int)out.head->len, out.head->data);
        fail("F1 or F2");
    }
    reply_clear(&out);
    return 0;
}

#ifndef FUZZ_LIBFUZZER

/* The first byte says which library. */
static const struct slice seeds[] = {
#define SEED(text) {text, sizeof text - 1}
    SEED("\x00\x83\xa1" "a\x01\xa1" "b\x92\x01\xc0\xa3" "abc\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00"),
    SEED("\x00\xdc\x00\x02\xde\x00\x01\x01\x02\xd9\x03" "abc\xda\x00\x01x\xdb\x00\x00\x00\x01x"),
    SEED("\x00\xcc\xff\xcd\xff\xff\xce\xff\xff\xff\xff\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xe0"),
    SEED("\x00\xd0\x80\xd1\x80\x00\xd2\x80\x00\x00\x00\xd3\x80\x00\x00\x00\x00\x00\x00\x00\xc2\xc3"),
    SEED("\x00\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x01"),
    SEED("\x03\x01\x92\x02\x03\xca\x3f\x80\x00\x00\xdd\x00\x00\x00\x01\x01\xdf\x00\x00\x00\x00"),
    SEED("\x01{\"a\":[1,2.5,-3e4,null,true,{\"b\":\"\\u00e4\\ud83d\\ude00\\n\\/\"}],\"c\":\"x\"}"),
    SEED("\x01[[[[]]],{},\"\\\\\\\"\",1e308,0.1,\"\\u0000\"]"),
    SEED("\x02" "bBhHlLiI3fdx|\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"),
    SEED("\x02>!8bdbc0s c3i32|\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x00"),
#undef SEED
};

static uint64_t random_state = 20261121;

static uint32_t below(uint32_t n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % n;
}

static size_t mutate(uint8_t *data, size_t len)
{
    static const uint8_t favourites[] = {0, 1, 0x7f, 0x80, 0xff, 0x90, 0xa5, 0xdd, 0xdf, 0xdb, '[', '{',
                                         '"', '\\', 'u', 'c', '0', '9', '!', '|'};
    for (uint32_t i = below(MUTATIONS_MAX) + 1; i > 0 && len > 1; i--) {
        size_t at = 1 + below((uint32_t)len - 1);
        switch (below(5)) {
        case 0:
            data[at] ^= (uint8_t)(1u << below(8));
            break;
        case 1:
            data[at] = favourites[below(sizeof favourites)];
            break;
        case 2: /* a byte more */
            if (len < INPUT_MAX) {
                memmove(data + at + 1, data + at, len - at);
                len++;
            }
            break;
        case 3: /* a byte less */
            memmove(data + at, data + at + 1, len - at - 1);
            len--;
            break;
        case 4:
            len = at + 1;
            break;
        }
    }
    return len;
}

int main(void)
{
    start();
    size_t before = 0;
    for (int round = 0; round < ROUNDS; round++) {
        struct slice seed = seeds[below(sizeof seeds / sizeof *seeds)];
        /* A block of its own size, so that a sanitizer sees the first byte behind it. */
        uint8_t room[INPUT_MAX];
        memcpy(room, seed.ptr, seed.len);
        size_t len = mutate(room, seed.len);
        uint8_t *input = malloc(len);
        memcpy(input, room, len);
        LLVMFuzzerTestOneInput(input, len);
        free(input);
        if (round == ROUNDS / 100) {
            script_vm_collect(vm);
            before = script_vm_memory_bytes(vm);
        }
    }
    script_vm_collect(vm);
    if (script_vm_memory_bytes(vm) > before + SLACK_BYTES) {
        fail("F4");
    }
    script_unref(script);
    script_vm_free(vm);
    return 0;
}

#endif
