/* races.c - the classic litmus tests, and races of strings (litmus.h).
 *
 *   sb    A: SET x, GET y      B: SET y, GET x          never both old
 *   mp    A: SET x, SET y      B: GET y, GET x          never y new and x old
 *   lb    A: GET x, SET y      B: GET y, SET x          never both new
 *   iriw  A: SET x   B: SET y  C: GET x, GET y   D: GET y, GET x
 *                                                       never C: new, old and D: new, old
 *   mset  A: MSET k0…k9        B: MGET k9…k0            never different values
 *   nx    A: MSETNX x z1       B: MSETNX x z2           exactly one succeeds, and all of it
 *   move  A: RENAME x y, RENAME y x    B: EXISTS x y    always 1
 *   swap  A: MSET x, y         B: COPY x z REPLACE, COPY y w REPLACE, MGET z w   w never older than z
 *   exec  A: MULTI, SET k0 … k9, EXEC  B: MULTI, GET k9 … k0, EXEC     never different values
 *   watch A: WATCH y, GET y, MULTI, SET x, EXEC   B: the same with x and y
 *                                                       never both old and both executed
 *   server A: MULTI, SET x, SLOWLOG LEN, SET y, CONFIG GET, SET z, EXEC   B: MGET z y x, or by EXEC
 *                                                       never different values
 *   free  A: MSET x y, again and again  B: MGET y z  C, D: MULTI, GET x, GET y, EXEC, each for itself
 *                                                       x and y are the same
 *   echo  pipelines of numbered commands of all kinds   replies in order
 *
 * "Each for itself" means that a connection waits for the replies before it sends more: that is how
 * runs become free, which need no horizon (shards/README.md).
 */
#include <stddef.h>

#include "litmus.h"

/* Commands of a pair, in this order or, as a canary, in the other. */
static void set_get(struct actor *a, int i, char to_set, char to_get, int64_t round)
{
    if (canary) {
        cmd(a, 1, "GET %c:%d", to_get, i);
        cmd(a, 1, "SET %c:%d %lld", to_set, i, (long long)round);
    } else {
        cmd(a, 1, "SET %c:%d %lld", to_set, i, (long long)round);
        cmd(a, 1, "GET %c:%d", to_get, i);
    }
}

static int64_t got_of(const struct actor *a, int i)
{
    return a->reply[2 * i + (canary ? 0 : 1)];
}

static void sb_write(struct actor *a, int64_t round)
{
    for (int i = 0; i < PAIRS; i++) {
        set_get(a, i, a->id == 0 ? 'x' : 'y', a->id == 0 ? 'y' : 'x', round);
    }
}

static long sb_check(struct actor *a, int64_t round)
{
    long bad = 0;
    for (int i = 0; i < PAIRS; i++) {
        bad += got_of(&a[0], i) != round && got_of(&a[1], i) != round;
    }
    return bad;
}

static void mp_write(struct actor *a, int64_t round)
{
    for (int i = 0; i < PAIRS; i++) {
        if (a->id == 0) {
            cmd(a, 1, "SET %c:%d %lld", canary ? 'y' : 'x', i, (long long)round);
            cmd(a, 1, "SET %c:%d %lld", canary ? 'x' : 'y', i, (long long)round);
        } else {
            cmd(a, 1, "GET y:%d", i);
            cmd(a, 1, "GET x:%d", i);
        }
    }
}

static long mp_check(struct actor *a, int64_t round)
{
    long bad = 0;
    for (int i = 0; i < PAIRS; i++) {
        bad += a[1].reply[2 * i] == round && a[1].reply[2 * i + 1] != round;
    }
    return bad;
}

static void lb_write(struct actor *a, int64_t round)
{
    char read_key = a->id == 0 ? 'x' : 'y', write_key = a->id == 0 ? 'y' : 'x';
    for (int i = 0; i < PAIRS; i++) {
        if (canary) {
            cmd(a, 1, "SET %c:%d %lld", write_key, i, (long long)round);
            cmd(a, 1, "GET %c:%d", read_key, i);
        } else {
            cmd(a, 1, "GET %c:%d", read_key, i);
            cmd(a, 1, "SET %c:%d %lld", write_key, i, (long long)round);
        }
    }
}

static long lb_check(struct actor *a, int64_t round)
{
    long bad = 0;
    for (int i = 0; i < PAIRS; i++) {
        int at = 2 * i + (canary ? 1 : 0);
        bad += a[0].reply[at] == round && a[1].reply[at] == round;
    }
    return bad;
}

static void iriw_write(struct actor *a, int64_t round)
{
    for (int i = 0; i < PAIRS; i++) {
        if (a->id < 2) {
            cmd(a, 1, "SET %c:%d %lld", a->id == 0 ? 'x' : 'y', i, (long long)round);
        } else {
            bool x_first = (a->id == 2) != canary;
            cmd(a, 1, "GET %c:%d", x_first ? 'x' : 'y', i);
            cmd(a, 1, "GET %c:%d", x_first ? 'y' : 'x', i);
        }
    }
}

static long iriw_check(struct actor *a, int64_t round)
{
    long bad = 0;
    int first = canary ? 1 : 0;
    for (int i = 0; i < PAIRS; i++) {
        bad += a[2].reply[2 * i + first] == round && a[2].reply[2 * i + 1 - first] != round &&
               a[3].reply[2 * i + first] == round && a[3].reply[2 * i + 1 - first] != round;
    }
    return bad;
}

static void mset_write(struct actor *a, int64_t round)
{
    long long r = (long long)round;
    for (int i = 0; i < PAIRS / 2; i++) {
        if (a->id == 1) {
            cmd(a, MSET_KEYS, "MGET m9:%d m8:%d m7:%d m6:%d m5:%d m4:%d m3:%d m2:%d m1:%d m0:%d", i, i,
                i, i, i, i, i, i, i, i);
        } else if (canary) {
            cmd(a, 1, "MSET m0:%d %lld m1:%d %lld m2:%d %lld", i, r, i, r, i, r);
            cmd(a, 1, "MSET m3:%d %lld m4:%d %lld m5:%d %lld m6:%d %lld m7:%d %lld m8:%d %lld m9:%d %lld",
                i, r, i, r, i, r, i, r, i, r, i, r, i, r);
        } else {
            cmd(a, 1,
                "MSET m0:%d %lld m1:%d %lld m2:%d %lld m3:%d %lld m4:%d %lld m5:%d %lld m6:%d %lld "
                "m7:%d %lld m8:%d %lld m9:%d %lld",
                i, r, i, r, i, r, i, r, i, r, i, r, i, r, i, r, i, r, i, r);
        }
    }
}

static long mset_check(struct actor *a, int64_t round)
{
    long bad = 0;
    (void)round;
    for (int i = 0; i < PAIRS / 2; i++) {
        const int64_t *v = &a[1].reply[MSET_KEYS * i];
        for (int k = 1; k < MSET_KEYS; k++) {
            if (v[k] != v[0]) {
                bad++;
                break;
            }
        }
    }
    return bad;
}

static void nx_setup(struct actor *a)
{
    cmd(a, 1, "FLUSHALL"); /* rounds of another run have the same numbers */
}

static void nx_write(struct actor *a, int64_t round)
{
    long long r = (long long)round;
    for (int i = 0; i < PAIRS / 2; i++) {
        if (canary) {
            cmd(a, 1, "SETNX nx:%lld:%d %d", r, i + a->id * 1000000, a->id);
        } else {
            cmd(a, 1, "MSETNX n%d:%lld:%d %d nx:%lld:%d %d", a->id, r, i, a->id, r, i, a->id);
        }
        cmd(a, 1, "GET n%d:%lld:%d", a->id, r, i);
    }
    for (int i = 0; i < PAIRS / 2; i++) { /* the round before is over for both */
        cmd(a, 1, "DEL n%d:%lld:%d nx:%lld:%d", a->id, r - 1, i, r - 1, i);
    }
}

static long nx_check(struct actor *a, int64_t round)
{
    long bad = 0;
    (void)round;
    for (int i = 0; i < PAIRS / 2; i++) {
        int64_t won0 = a[0].reply[2 * i], won1 = a[1].reply[2 * i];
        bool there0 = a[0].reply[2 * i + 1] == 0, there1 = a[1].reply[2 * i + 1] == 1;
        bad += won0 + won1 != 1 || there0 != (won0 == 1) || there1 != (won1 == 1);
    }
    return bad;
}

static void move_write(struct actor *a, int64_t round)
{
    for (int i = 0; i < PAIRS / 4; i++) {
        if (a->id == 1) {
            cmd(a, 1, "EXISTS r:%d s:%d", i, i);
        } else if (canary) {
            cmd(a, 1, "DEL r:%d", i);
            cmd(a, 1, "SET s:%d %lld", i, (long long)round);
            cmd(a, 1, "DEL s:%d", i);
            cmd(a, 1, "SET r:%d %lld", i, (long long)round);
        } else {
            cmd(a, 1, "RENAME r:%d s:%d", i, i);
            cmd(a, 1, "RENAME s:%d r:%d", i, i);
        }
    }
}

static long move_check(struct actor *a, int64_t round)
{
    long bad = 0;
    (void)round;
    for (int i = 0; i < PAIRS / 4; i++) {
        bad += a[1].reply[i] != 1;
        bad += !canary && !killing && (a[0].reply[2 * i] != -2 || a[0].reply[2 * i + 1] != -2);
    }
    return bad;
}

static void swap_write(struct actor *a, int64_t round)
{
    long long r = (long long)round;
    for (int i = 0; i < PAIRS / 4; i++) {
        if (a->id == 0) {
            cmd(a, 1, "MSET p:%d %lld q:%d %lld", i, r, i, r);
        } else {
            cmd(a, 1, "COPY %c:%d t%d:%d REPLACE", canary ? 'q' : 'p', i, a->id, i);
            cmd(a, 1, "COPY %c:%d u%d:%d REPLACE", canary ? 'p' : 'q', i, a->id, i);
            cmd(a, 2, "MGET t%d:%d u%d:%d", a->id, i, a->id, i);
        }
    }
}

static long swap_check(struct actor *a, int64_t round)
{
    long bad = 0;
    (void)round;
    for (int i = 0; i < PAIRS / 4; i++) {
        int64_t older = a[1].reply[4 * i + 2], newer = a[1].reply[4 * i + 3];
        bad += canary ? newer != older : newer < older;
    }
    return bad;
}

static void exec_write(struct actor *a, int64_t round)
{
    for (int i = 0; i < PAIRS / 4; i++) {
        cmd(a, 1, canary ? "PING" : "MULTI");
        for (int k = 0; k < MSET_KEYS; k++) {
            if (a->id == 0) {
                cmd(a, 1, "SET n%d:%d %lld", k, i, (long long)round);
            } else {
                cmd(a, 1, "GET n%d:%d", MSET_KEYS - 1 - k, i);
            }
        }
        cmd(a, canary ? 1 : MSET_KEYS, canary ? "PING" : "EXEC");
    }
}

static long exec_check(struct actor *a, int64_t round)
{
    long bad = 0;
    (void)round;
    for (int i = 0; i < PAIRS / 4; i++) {
        int block = canary ? MSET_KEYS + 2 : 2 * MSET_KEYS + 1;
        const int64_t *v = &a[1].reply[block * i + (canary ? 1 : MSET_KEYS + 1)];
        for (int k = 1; k < MSET_KEYS; k++) {
            if (v[k] != v[0]) {
                bad++;
                break;
            }
        }
    }
    return bad;
}

static void watch_write(struct actor *a, int64_t round)
{
    char mine = a->id == 0 ? 'v' : 'w', other = a->id == 0 ? 'w' : 'v';
    for (int i = 0; i < PAIRS; i++) {
        cmd(a, 1, canary ? "EXISTS %c:%d" : "WATCH %c:%d", other, i);
        cmd(a, 1, "GET %c:%d", other, i);
        cmd(a, 1, "MULTI");
        cmd(a, 1, "SET %c:%d %lld", mine, i, (long long)round);
        cmd(a, 1, "EXEC");
    }
}

static long watch_check(struct actor *a, int64_t round)
{
    long bad = 0;
    for (int i = 0; i < PAIRS; i++) {
        int both = 0;
        for (int k = 0; k < 2; k++) {
            const int64_t *r = &a[k].reply[5 * i];
            both += r[1] != round && r[4] == -2;
        }
        bad += both == 2;
    }
    return bad;
}

enum { SERVER_SPOTS = PAIRS / 8, SERVER_KEYS = 3, SERVER_A = 6, SERVER_B = SERVER_KEYS + 2 };

/* Commands about the server in the middle of a transaction. B reads by one command or by a transaction,
 * with such a command in it, too. */
static void server_write(struct actor *a, int64_t round)
{
    long long r = (long long)round;
    for (int i = 0; i < SERVER_SPOTS; i++) {
        if (a->id == 0) {
            cmd(a, 1, canary ? "PING" : "MULTI");
            cmd(a, 1, "SET o0:%d %lld", i, r);
            cmd(a, 1, "SLOWLOG LEN");
            cmd(a, 1, "SET o1:%d %lld", i, r);
            cmd(a, canary ? 2 : 1, "CONFIG GET maxclients");
            cmd(a, 1, "SET o2:%d %lld", i, r);
            cmd(a, canary ? 1 : SERVER_A, canary ? "PING" : "EXEC");
        } else if (i % 2 == 0) {
            cmd(a, SERVER_KEYS, "MGET o2:%d o1:%d o0:%d", i, i, i);
        } else {
            cmd(a, 1, "MULTI");
            cmd(a, 1, "GET o2:%d", i);
            cmd(a, 1, "GET o1:%d", i);
            cmd(a, 1, "SLOWLOG LEN");
            cmd(a, 1, "GET o0:%d", i);
            cmd(a, SERVER_KEYS + 1, "EXEC");
        }
    }
}

static long server_check(struct actor *a, int64_t round)
{
    long bad = 0;
    const int64_t *v = a[1].reply;
    (void)round;
    for (int i = 0; i < SERVER_SPOTS; i++) {
        if (i % 2 == 0) {
            bad += v[0] != v[1] || v[1] != v[2];
            v += SERVER_KEYS;
        } else {
            v += SERVER_B; /* MULTI and what is queued */
            bad += v[0] != v[1] || v[1] != v[3];
            v += SERVER_KEYS + 1;
        }
    }
    return bad;
}

enum { FREE_PAIRS = PAIRS / 4, FREE_TIMES = 8 };

/* Slots are linear in the names: equal numbers would put all pairs apart, or none. */
static int free_other(int i)
{
    return i * 7919 % 1000 + 13;
}

static void free_write(struct actor *a, int64_t round)
{
    for (int n = 0; n < FREE_TIMES && a->id < 2; n++) {
        long long v = (long long)round * FREE_TIMES + n;
        for (int i = 0; i < FREE_PAIRS; i++) {
            if (a->id == 1) {
                cmd(a, 2, "MGET f:%d h:%d", i, i);
            } else if (canary) {
                cmd(a, 1, "SET f:%d %lld", i, v);
                cmd(a, 1, "SET g:%d %lld", free_other(i), v);
            } else {
                cmd(a, 1, "MSET g:%d %lld f:%d %lld", free_other(i), v, i, v);
            }
        }
    }
    for (int i = 0; i < FREE_PAIRS && a->id >= 2; i++) {
        int pair = (i * 5 + a->id * 3) % FREE_PAIRS;
        cmd(a, 1, "MULTI");
        cmd(a, 1, "GET g:%d", free_other(pair));
        cmd(a, 1, "GET f:%d", pair);
        cmd(a, 2, "EXEC");
        cut(a);
    }
}

static long free_check(struct actor *a, int64_t round)
{
    long bad = 0;
    (void)round;
    for (int k = 2; k < 4; k++) {
        for (int i = 0; i < FREE_PAIRS; i++) {
            bad += a[k].reply[5 * i + 3] != a[k].reply[5 * i + 4];
        }
    }
    return bad;
}

static void echo_write(struct actor *a, int64_t round)
{
    for (int i = 0; i < PAIRS; i++) {
        long long v = (long long)round * PAIRS + i;
        cmd(a, 1, "SET e%d:%d %lld", a->id, i, v);
        cmd(a, 1, "ECHO %lld", v);
        cmd(a, 1, canary && i == 7 ? "GET e%d:%d0" : "GET e%d:%d", a->id, i);
        cmd(a, 3, "MGET e%d:%d e%d:%d e%d:%d", a->id, i, a->id, i, a->id, i);
    }
}

static long echo_check(struct actor *a, int64_t round)
{
    long bad = 0;
    for (int k = 0; k < 2; k++) {
        for (int i = 0; i < PAIRS; i++) {
            int64_t v = round * PAIRS + i;
            const int64_t *r = &a[k].reply[6 * i];
            bad += r[0] != -2 || r[1] != v || r[2] != v || r[3] != v || r[4] != v || r[5] != v;
        }
    }
    return bad;
}

static void move_setup(struct actor *a)
{
    for (int i = 0; i < PAIRS / 4; i++) {
        cmd(a, 1, "DEL s:%d", i);
        cmd(a, 1, "SET r:%d 0", i);
    }
}

static void swap_setup(struct actor *a)
{
    for (int i = 0; i < PAIRS / 4; i++) {
        cmd(a, 1, "MSET p:%d 0 q:%d 0", i, i);
    }
}

const struct race races_classic[] = {
    {"sb", 2, sb_write, sb_check, NULL, NULL, NULL},
    {"mp", 2, mp_write, mp_check, NULL, NULL, NULL},
    {"lb", 2, lb_write, lb_check, NULL, NULL, NULL},
    {"iriw", 4, iriw_write, iriw_check, NULL, NULL, NULL},
    {"mset", 2, mset_write, mset_check, mset_write, NULL, NULL},
    {"nx", 2, nx_write, nx_check, NULL, nx_setup, NULL},
    {"move", 2, move_write, move_check, move_write, move_setup, NULL},
    {"swap", 2, swap_write, swap_check, NULL, swap_setup, NULL},
    {"exec", 2, exec_write, exec_check, exec_write, NULL, NULL},
    {"watch", 2, watch_write, watch_check, NULL, NULL, NULL},
    {"server", 2, server_write, server_check, server_write, NULL, NULL},
    {"free", 4, free_write, free_check, free_write, NULL, NULL},
    {"echo", 2, echo_write, echo_check, NULL, NULL, NULL},
    {NULL, 0, NULL, NULL, NULL, NULL, NULL},
};
