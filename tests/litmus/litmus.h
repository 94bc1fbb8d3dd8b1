/* litmus.h - what a race is made of: actors that write a pipeline each round, and a check of the
 * replies.
 *
 * Values are round numbers, so that a reply is "new" when it is this round's. Replies are kept as
 * scalars, as many for each command as it was said to have: one that has fewer (nil in place of an
 * array) is filled up with nil, one that has more is ODD.
 *
 * A race that names a victim's pipeline goes on being right whatever clients vanish in the middle
 * of it (litmus --kill): its check may only look at what no order of whole commands can give,
 * however often, and however late, the commands of a victim are executed. */
#ifndef LITMUS_H
#define LITMUS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ACTORS_MAX = 4, PAIRS = 256, REPLIES_MAX = PAIRS * 16, CUTS_MAX = PAIRS, OUT_BYTES = 1 << 20, MSET_KEYS = 10 };

enum { NIL = -1, STATUS = -2, ERROR = -3, ODD = -4 };

struct race;

struct actor {
    int fd, id;
    const struct race *race;
    char *out;
    size_t out_len;
    int commands, expected;   /* replies, and scalars in them */
    short scalars[REPLIES_MAX]; /* of each command's reply */
    struct {
        size_t out_len;
        int commands;
    } cut[CUTS_MAX];          /* up to each of them: sent only when all before is answered */
    int cuts;
    int64_t *reply;           /* numbers, or NIL, STATUS, ERROR, ODD */
    int read;                 /* replies that are there */
    char in[1 << 16];
    size_t in_at, in_len;
    pthread_t thread;
};

struct race {
    const char *name;
    int actors;
    void (*write)(struct actor *a, int64_t round);
    long (*check)(struct actor *a, int64_t round); /* number of violations */
    void (*victim)(struct actor *a, int64_t round); /* what a client that vanishes sends, or NULL */
    void (*setup)(struct actor *a);                 /* before the first round, or NULL */
    const void *with;                               /* the race's own */
};

/* Ended by one without a name. */
extern const struct race races_classic[], races_writers[], races_scripts[], races_waits[];

extern bool canary;  /* the commands are sent so that violations must be found */
extern bool killing; /* others send the same, so that replies to writes say nothing */

/* A command of words separated by blanks; scalars is the size of its reply. */
__attribute__((format(printf, 3, 4))) void cmd(struct actor *a, int scalars, const char *fmt, ...);

/* The same with a script first, which may have blanks in it: EVAL script rest. */
__attribute__((format(printf, 4, 5))) void eval(struct actor *a, int scalars, const char *script,
                                                const char *fmt, ...);

/* What is written next is not sent before all that is written so far has been answered. */
void cut(struct actor *a);

#endif
