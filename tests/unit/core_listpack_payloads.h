/* core_listpack_payloads.h - the listpacks that Redis 7.0.15 (Debian) made of lists of one element,
 * taken from DUMP: facts that core_listpack.c tests against. */
#ifndef ASHLAR_TESTS_CORE_LISTPACK_PAYLOADS_H
#define ASHLAR_TESTS_CORE_LISTPACK_PAYLOADS_H

#include <stddef.h>
#include <stdint.h>

static const struct listpack_payload {
    const char *element;
    size_t len;
    const char *bytes;
} listpack_payloads[] = {
    {"", 9,
     "\x09\x00\x00\x00\x01\x00\x80\x01\xff"},
    {"a", 10,
     "\x0a\x00\x00\x00\x01\x00\x81\x61\x02\xff"},
    {"hello", 14,
     "\x0e\x00\x00\x00\x01\x00\x85\x68\x65\x6c\x6c\x6f\x06\xff"},
    {"0", 9,
     "\x09\x00\x00\x00\x01\x00\x00\x01\xff"},
    {"127", 9,
     "\x09\x00\x00\x00\x01\x00\x7f\x01\xff"},
    {"128", 10,
     "\x0a\x00\x00\x00\x01\x00\xc0\x80\x02\xff"},
    {"-1", 10,
     "\x0a\x00\x00\x00\x01\x00\xdf\xff\x02\xff"},
    {"4095", 10,
     "\x0a\x00\x00\x00\x01\x00\xcf\xff\x02\xff"},
    {"4096", 11,
     "\x0b\x00\x00\x00\x01\x00\xf1\x00\x10\x03\xff"},
    {"-4096", 10,
     "\x0a\x00\x00\x00\x01\x00\xd0\x00\x02\xff"},
    {"-4097", 11,
     "\x0b\x00\x00\x00\x01\x00\xf1\xff\xef\x03\xff"},
    {"32767", 11,
     "\x0b\x00\x00\x00\x01\x00\xf1\xff\x7f\x03\xff"},
    {"32768", 12,
     "\x0c\x00\x00\x00\x01\x00\xf2\x00\x80\x00\x04\xff"},
    {"-32768", 11,
     "\x0b\x00\x00\x00\x01\x00\xf1\x00\x80\x03\xff"},
    {"-32769", 12,
     "\x0c\x00\x00\x00\x01\x00\xf2\xff\x7f\xff\x04\xff"},
    {"8388607", 12,
     "\x0c\x00\x00\x00\x01\x00\xf2\xff\xff\x7f\x04\xff"},
    {"8388608", 13,
     "\x0d\x00\x00\x00\x01\x00\xf3\x00\x00\x80\x00\x05\xff"},
    {"-8388608", 12,
     "\x0c\x00\x00\x00\x01\x00\xf2\x00\x00\x80\x04\xff"},
    {"-8388609", 13,
     "\x0d\x00\x00\x00\x01\x00\xf3\xff\xff\x7f\xff\x05\xff"},
    {"2147483647", 13,
     "\x0d\x00\x00\x00\x01\x00\xf3\xff\xff\xff\x7f\x05\xff"},
    {"2147483648", 17,
     "\x11\x00\x00\x00\x01\x00\xf4\x00\x00\x00\x80\x00\x00\x00\x00\x09\xff"},
    {"-2147483648", 13,
     "\x0d\x00\x00\x00\x01\x00\xf3\x00\x00\x00\x80\x05\xff"},
    {"-2147483649", 17,
     "\x11\x00\x00\x00\x01\x00\xf4\xff\xff\xff\x7f\xff\xff\xff\xff\x09\xff"},
    {"9223372036854775807", 17,
     "\x11\x00\x00\x00\x01\x00\xf4\xff\xff\xff\xff\xff\xff\xff\x7f\x09\xff"},
    {"-9223372036854775808", 17,
     "\x11\x00\x00\x00\x01\x00\xf4\x00\x00\x00\x00\x00\x00\x00\x80\x09\xff"},
    {"9223372036854775808", 28,
     "\x1c\x00\x00\x00\x01\x00\x93\x39\x32\x32\x33\x33\x37\x32\x30\x33\x36\x38\x35\x34\x37\x37\x35\x38\x30\x38\x14\xff"},
    {"01", 11,
     "\x0b\x00\x00\x00\x01\x00\x82\x30\x31\x03\xff"},
    {"-0", 11,
     "\x0b\x00\x00\x00\x01\x00\x82\x2d\x30\x03\xff"},
    {"+1", 11,
     "\x0b\x00\x00\x00\x01\x00\x82\x2b\x31\x03\xff"},
    {"1 ", 11,
     "\x0b\x00\x00\x00\x01\x00\x82\x31\x20\x03\xff"},
    {"\n", 10,
     "\x0a\x00\x00\x00\x01\x00\x81\x0a\x02\xff"},
};

/* Of strings of so many 'x': the checksum (crc64) stands for the bytes. */
static const struct listpack_long_payload {
    size_t times, len;
    uint64_t crc;
} listpack_long_payloads[] = {
    {62, 71, 0x0f870ff3f378dbf9},
    {63, 72, 0x2ed91b0caaadf7eb},
    {64, 74, 0x35da2937cb579b6c},
    {65, 75, 0x27fe850599da1f15},
    {125, 135, 0x8492343191806b4a},
    {126, 137, 0x8d93ba9549f4a2a7},
    {127, 138, 0x8931707ff0a867cd},
    {4094, 4105, 0x7a6eda2c0a5736a8},
    {4095, 4106, 0xdb5b1a618bcc1cea},
    {4096, 4110, 0x8821f7b371a4121a},
    {16376, 16390, 0xeb579dbac5a038b3},
    {16377, 16391, 0x552c07b41721013e},
    {16378, 16393, 0xcef864f98feba069},
    {16379, 16394, 0x14921c03655ba2c8},
    {16380, 16395, 0x2162c770b37c326b},
    {2097144, 2097159, 0x230c80d3d9f47c83},
    {2097145, 2097160, 0x72452e4270434dd0},
    {2097146, 2097162, 0x313941ce930bdf4a},
    {2097147, 2097163, 0xfdeab2ac080f8a99},
    {2097148, 2097164, 0xa6ee6f25d964b33d},
};

#endif
