/* resp_parse.h - reading commands: RESP arrays of bulk strings, and inline commands.
 *
 * The parser works in place on the bytes that have arrived: arguments are slices of the
 * caller's buffer, nothing is copied (inline commands with quotes and escapes excepted: those
 * are unquoted into memory of the parser). It can stop anywhere and go on when there is more:
 * the state lives in struct resp_parser, which remembers offsets, so that the buffer may move.
 * Every byte is looked at once, however the input is cut.
 *
 *   buffer  [*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*1\r\n$4\r\nPI]
 *            └── RESP_COMMAND, used = 20 ──┘└─ RESP_MORE ─┘
 *
 * Owner: one connection; any thread, one at a time. No locks, no globals.
 */
#ifndef ASHLAR_PROTO_RESP_PARSE_H
#define ASHLAR_PROTO_RESP_PARSE_H

#include "proto/slice.h"
#include <stdint.h>

/* Bounds of the protocol itself (those of Redis); the larger ones come with the limits. */
enum {
    RESP_INLINE_MAX_BYTES = 64 * 1024, /* inline line, "*<count>" and "$<length>" lines */
    RESP_UNAUTH_ARGS_MAX = 10,         /* arguments before the client has authenticated */
    RESP_UNAUTH_BULK_MAX = 16384,      /* bytes of one argument before that */
    RESP_ARGV_KEEP_MAX = 1024,         /* a larger argv is given back before the next command */
};

struct resp_limits {
    int64_t bulk_max_bytes; /* proto-max-bulk-len */
    bool authenticated;
};

enum resp_result {
    RESP_MORE,    /* the command is not complete; call again with more bytes behind the same ones */
    RESP_COMMAND, /* argv[0..argc) is a command; used_bytes of the buffer belong to it */
    RESP_EMPTY,   /* an empty inline line or "*0" / "*-1": used_bytes consumed, nothing to run */
    RESP_ERROR,   /* protocol error: error is the text after "-ERR ", the connection must close */
};

struct resp_parser {
    /* result */
    struct slice *argv; /* owned by the parser; the slices point into the caller's buffer */
    uint32_t argc;
    size_t used_bytes;
    const char *error; /* e.g. "Protocol error: invalid multibulk length" */

    /* state between calls (private to resp_parse.c) */
    uint32_t argv_cap_;
    int64_t args_left_;
    int64_t bulk_len_;   /* -1: the "$<length>" line has not been read yet */
    size_t at_;          /* offset of the first byte not yet looked at */
    size_t line_;        /* offset of the line or bulk that at_ is in */
    char *unquoted_;     /* storage of an inline command's arguments */
    char error_buf_[64]; /* "Protocol error: expected '$', got 'x'" */
};

void resp_parser_init(struct resp_parser *p);
void resp_parser_free(struct resp_parser *p);

/* Moves a partial command's state from one parser to another (both initialised); what `to` held
 * is let go, `from` is as after resp_parser_init. */
void resp_parser_move(struct resp_parser *to, struct resp_parser *from);

/* True when a command has begun and is not complete. */
static inline bool resp_parser_partial(const struct resp_parser *p)
{
    return p->at_ != 0 || p->args_left_ != 0;
}

/* Parses one command at the start of buf[0..len). After RESP_MORE the next call must pass the
 * same bytes followed by more (at any address). After RESP_COMMAND or RESP_EMPTY the caller goes
 * on at buf + used_bytes; argv stays valid until the next call. argc and used_bytes mean something
 * only after RESP_COMMAND and RESP_EMPTY. */
enum resp_result resp_parse(struct resp_parser *p, const char *buf, size_t len,
                            const struct resp_limits *limits);

/* Bytes that the parser knows it still needs to finish the current argument, 0 if unknown: lets
 * the caller size its buffer. */
size_t resp_parser_wants(const struct resp_parser *p, size_t len);

/* Of a partial command: how many bytes at the start of the buffer are arguments and headers that
 * have been read, and how many of these are arguments; 0 for an inline command. */
size_t resp_parser_read(const struct resp_parser *p, size_t *args_bytes);
/* Memory behind the parser itself, bytes. */
size_t resp_parser_memory(const struct resp_parser *p);

#endif
