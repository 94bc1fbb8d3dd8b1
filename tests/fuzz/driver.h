/* driver.h - what a fuzzer offers, and what runs it where there is no libFuzzer.
 *
 * A fuzzer is one file with LLVMFuzzerTestOneInput and its seeds; the first two bytes of an input
 * choose its options. Linked with driver.c it is a
 * program of its own:
 *
 *   fuzz-x --runs 200000 [--seed 7]   inputs made from the seeds by mutation; the same each time
 *   fuzz-x FILE …                     these inputs ("-": standard input)
 *
 * With clang it is driven by coverage instead, without driver.c:
 *
 *   clang -g -fsanitize=fuzzer,address -DFUZZ_LIBFUZZER -D_GNU_SOURCE -I. tests/fuzz/x.c …
 *
 * Each fuzzer has a canary: the same built with -DFUZZ_CANARY, which plants a fault in the code
 * under test and must fail.
 */
#ifndef ASHLAR_TESTS_FUZZ_DRIVER_H
#define ASHLAR_TESTS_FUZZ_DRIVER_H

#include "proto/slice.h"
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What mutation starts from and inserts; ends with {NULL, 0}. */
extern const struct slice fuzz_seeds[];

/* Reports the input being tried (unless libFuzzer does) and ends the process with failure. */
_Noreturn void fuzz_fail(const char *what);

#endif
