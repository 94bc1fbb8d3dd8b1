/* waits.c - races of blocking commands (litmus.h).
 *
 * Messages: A sets x and gives B and C something to take (a list of two, two members, two entries);
 * they wait for it, then read x. Each gets its own, and x is never old. A sets and gives in turn by
 * two commands, by a transaction, and by a script; in the latter two it gives first and sets then,
 * as those who wait are served behind the whole.
 *
 *   blpop blmpop blmove bzpopmin bzmpop xreadgroup    one of two each, never both the same
 *   xreadblock                                        both
 *
 * chain   A: RPUSH c0   B: BLMOVE c0 c1   C: BLMOVE c1 c2   D: EXISTS c0 c1 c2, twice
 *                                                      never 2, and never 0 behind 1
 *
 * Canaries: A gives first, then sets, by two commands; in the chain, twice. */
#include <stdio.h>

#include "litmus.h"

enum { SPOTS = PAIRS / 4, WAIT_SECONDS = 120 };

enum kind { BLPOP, BLMPOP, BLMOVE, BZPOPMIN, BZMPOP, XREADGROUP, XREAD };

struct wait {
    enum kind kind;
    int scalars, value; /* of the reply, and which of them is the value */
};

static const struct wait blpop = {BLPOP, 2, 1}, blmpop = {BLMPOP, 2, 1}, blmove = {BLMOVE, 1, 0},
                         bzpopmin = {BZPOPMIN, 3, 2}, bzmpop = {BZMPOP, 3, 2},
                         xreadgroup = {XREADGROUP, 4, 3}, xreadblock = {XREAD, 4, 3};

/* What A gives, for redis.call as well: words with blanks between them. */
static int give(char *line, size_t max, enum kind kind, int i, int64_t round)
{
    long long r = (long long)round, one = 2 * r, two = 2 * r + 1;
    switch (kind) {
    case BZPOPMIN:
    case BZMPOP:
        return snprintf(line, max, "ZADD wz:%d:%lld %lld a %lld b", i, r, one, two);
    case XREADGROUP:
        /* two entries would go to one reader: COUNT 1, and what the first leaves serves the second */
        return snprintf(line, max, "XADD wg:%d %lld-1 f %lld", i, r, one);
    case XREAD:
        return snprintf(line, max, "XADD wx:%d %lld-1 f %lld", i, r, one);
    default:
        return snprintf(line, max, "RPUSH wl:%d:%lld %lld %lld", i, r, one, two);
    }
}

static void take(struct actor *a, enum kind kind, int i, int64_t round)
{
    long long r = (long long)round;
    switch (kind) {
    case BLPOP:
        cmd(a, 2, "%s wn:%d wl:%d:%lld %d", a->id == 1 ? "BLPOP" : "BRPOP", i, i, r, WAIT_SECONDS);
        break;
    case BLMPOP:
        cmd(a, 2, "BLMPOP %d 2 wn:%d wl:%d:%lld %s", WAIT_SECONDS, i, i, r, a->id == 1 ? "LEFT" : "RIGHT");
        break;
    case BLMOVE:
        cmd(a, 1, "BLMOVE wl:%d:%lld wd%d:%d LEFT RIGHT %d", i, r, a->id, i, WAIT_SECONDS);
        break;
    case BZPOPMIN:
        cmd(a, 3, "%s wn:%d wz:%d:%lld %d", a->id == 1 ? "BZPOPMIN" : "BZPOPMAX", i, i, r, WAIT_SECONDS);
        break;
    case BZMPOP:
        cmd(a, 3, "BZMPOP %d 2 wn:%d wz:%d:%lld MIN", WAIT_SECONDS, i, i, r);
        break;
    case XREADGROUP:
        cmd(a, 4, "XREADGROUP GROUP g c%d COUNT 1 BLOCK %d STREAMS wg:%d >", a->id, WAIT_SECONDS * 1000, i);
        break;
    case XREAD:
        cmd(a, 4, "XREAD BLOCK %d STREAMS wn:%d wx:%d 0 %lld-0", WAIT_SECONDS * 1000, i, i, r);
        break;
    }
}

static void message_write(struct actor *a, int64_t round)
{
    static const char script[] = "redis.call(unpack(ARGV, 2)) return redis.call('SET', KEYS[1], ARGV[1])";
    const struct wait *w = a->race->with;
    char line[256];
    for (int i = 0; i < SPOTS; i++) {
        if (a->id > 0) {
            take(a, w->kind, i, round);
            cmd(a, 1, "GET wt:%d", i);
            continue;
        }
        int twice = w->kind == XREADGROUP ? 2 : 1; /* an entry for each reader */
        for (int n = 0; n < twice; n++) {
            give(line, sizeof line, w->kind, i, round);
            if (n == 1) {
                snprintf(line, sizeof line, "XADD wg:%d %lld-2 f %lld", i, (long long)round, 2 * (long long)round + 1);
            }
            if (canary || i % 3 == 0) {
                if (!canary) {
                    cmd(a, 1, "SET wt:%d %lld", i, (long long)round);
                }
                cmd(a, 1, "%s", line);
                if (canary) {
                    cut(a);
                    cmd(a, 1, "SET wt:%d %lld", i, (long long)round);
                }
            } else if (i % 3 == 1) {
                cmd(a, 1, "MULTI");
                cmd(a, 1, "%s", line);
                cmd(a, 1, "SET wt:%d %lld", i, (long long)round);
                cmd(a, 2, "EXEC");
            } else {
                eval(a, 1, script, "1 wt:%d %lld %s", i, (long long)round, line);
            }
        }
    }
    for (int i = 0; i < SPOTS && a->id == 0; i++) {
        cmd(a, 1, "XTRIM wg:%d MAXLEN 8", i);
        cmd(a, 1, "XTRIM wx:%d MAXLEN 8", i);
        cmd(a, 1, "DEL wd1:%d wd2:%d", i, i);
    }
}

static long message_check(struct actor *a, int64_t round)
{
    const struct wait *w = a->race->with;
    long bad = 0;
    for (int i = 0; i < SPOTS; i++) {
        const int64_t *b = &a[1].reply[(w->scalars + 1) * i], *c = &a[2].reply[(w->scalars + 1) * i];
        int64_t sum = b[w->value] + c[w->value];
        bool each_its_own = w->kind == XREAD ? sum == 4 * round && b[w->value] == 2 * round : sum == 4 * round + 1;
        bad += !each_its_own || b[w->scalars] != round || c[w->scalars] != round;
    }
    return bad;
}

static void message_setup(struct actor *a)
{
    cmd(a, 1, "FLUSHDB");
    for (int i = 0; i < SPOTS; i++) {
        cmd(a, 1, "XGROUP CREATE wg:%d g $ MKSTREAM", i);
    }
}

/* Waits for what never comes, in the same queues, and vanishes. */
static void message_victim(struct actor *a, int64_t round)
{
    const struct wait *w = a->race->with;
    (void)round;
    for (int i = 0; i < SPOTS; i++) {
        cmd(a, 1, "EXISTS wt:%d", i);
    }
    a->id = 1;
    take(a, w->kind, (int)(round % SPOTS), 1);
}

/* --- chain ----------------------------------------------------------------------------------- */

static void chain_write(struct actor *a, int64_t round)
{
    long long r = (long long)round;
    for (int i = 0; i < SPOTS; i++) {
        switch (a->id) {
        case 0:
            if (i % 2 == 0) {
                cmd(a, 1, "RPUSH c0:%d:%lld %lld", i, r, r);
            } else {
                eval(a, 1, "return redis.call('RPUSH', KEYS[1], ARGV[1])", "1 c0:%d:%lld %lld", i, r, r);
            }
            if (canary) {
                cmd(a, 1, "RPUSH c0:%d:%lld %lld", i, r, r);
            }
            break;
        case 3:
            cmd(a, 1, "EXISTS c0:%d:%lld c1:%d:%lld c2:%d:%lld", i, r, i, r, i, r);
            cmd(a, 1, "EXISTS c2:%d:%lld c1:%d:%lld c0:%d:%lld", i, r, i, r, i, r);
            cut(a); /* so that it goes on while the others do */
            break;
        default:
            cmd(a, 1, "BLMOVE c%d:%d:%lld c%d:%d:%lld LEFT RIGHT %d", a->id - 1, i, r, a->id, i, r, WAIT_SECONDS);
        }
    }
    for (int i = 0; i < SPOTS && a->id == 0; i++) {
        cmd(a, 1, "DEL c0:%d:%lld c1:%d:%lld c2:%d:%lld", i, r - 1, i, r - 1, i, r - 1);
    }
}

static long chain_check(struct actor *a, int64_t round)
{
    long bad = 0;
    for (int i = 0; i < SPOTS; i++) {
        int64_t first = a[3].reply[2 * i], then = a[3].reply[2 * i + 1];
        bad += first > 1 || then > 1 || first > then;
        bad += a[1].reply[i] != round || a[2].reply[i] != round;
    }
    return bad;
}

#define MESSAGE(name) {#name, 3, message_write, message_check, message_victim, message_setup, &(name)}

const struct race races_waits[] = {
    MESSAGE(blpop), MESSAGE(blmpop), MESSAGE(blmove), MESSAGE(bzpopmin), MESSAGE(bzmpop), MESSAGE(xreadblock),
    {"xreadgroup", 3, message_write, message_check, NULL, message_setup, &xreadgroup},
    {"chain", 4, chain_write, chain_check, NULL, NULL, NULL},
    {NULL, 0, NULL, NULL, NULL, NULL, NULL},
};
