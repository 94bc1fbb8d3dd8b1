/* core_serial_canary.c - the fuzzer of core_serial.c against a serial.c with a bug in it: whatever
 * the decompressor says, the length that the payload claims is believed. If this test stops
 * failing, the fuzzer has gone blind. */
#include <liblzf/lzf.h>

static unsigned planted_decompress(const void *in, unsigned in_len, void *out, unsigned out_len)
{
    (void)lzf_decompress(in, in_len, out, out_len);
    return out_len;
}
#define lzf_decompress planted_decompress
#include "core/serial.c"
#include "core_serial.c"
