/* scripts.c - races of scripts and transactions with each other and with plain commands (litmus.h).
 *
 *   evalset  A: EVAL, which sets k0 … k9 one by one    B: MGET k9 … k0, MULTI GET … EXEC, or EVAL
 *                                                       never different values
 *   evalsb   A: EVAL SET x, GET y   B: SET y, EVAL GET x               never both old
 *   evalfree A: EVAL of two keys, again and again, MGET across   C, D: EVAL GET x, GET y, each for itself
 *                                                       x and y are the same
 *   bank     A, B, C: transfers by EXEC, WATCH and EXEC, EVAL    D: reads all accounts by MGET, EVAL, EXEC
 *                                                       the sum is always the same
 *   bankeach the same, each for itself
 *
 * The scripts come in three kinds, by what the server can know of their keys: named in the text,
 * declared but computed, not declared at all (shards/README.md, rule 12).
 *
 * Canaries: A does by single commands what must be one. */
#include <stdio.h>

#include "litmus.h"

enum { SPOTS = PAIRS / 8, KINDS = 3 };

/* --- ten keys set by a script ---------------------------------------------------------------- */

static const char *const set_ten[KINDS] = {
    "for i = 1, #KEYS do redis.call('SET', KEYS[i], ARGV[1]) end return 1",
    "for i = 1, #KEYS do local k = KEYS[i] .. '' redis.call('SET', k, ARGV[1]) end return 1",
    "for i = 0, 9 do redis.call('SET', 'u' .. i .. ':' .. ARGV[2], ARGV[1]) end return 1",
};
/* One number: the value, or -7 when they are not all the same. */
static const char *const get_ten[KINDS] = {
    "local v = redis.call('GET', KEYS[1]) for i = 2, #KEYS do "
    "if redis.call('GET', KEYS[i]) ~= v then return '-7' end end return v or '0'",
    "local v = redis.call('GET', KEYS[1] .. '') for i = 2, #KEYS do "
    "if redis.call('GET', KEYS[i] .. '') ~= v then return '-7' end end return v or '0'",
    "local v = redis.call('GET', 'u0:' .. ARGV[2]) for i = 1, 9 do "
    "if redis.call('GET', 'u' .. i .. ':' .. ARGV[2]) ~= v then return '-7' end end return v or '0'",
};
#define TEN "10 u0:%d u1:%d u2:%d u3:%d u4:%d u5:%d u6:%d u7:%d u8:%d u9:%d"
#define TEN_OF(i) (i), (i), (i), (i), (i), (i), (i), (i), (i), (i)

static void ten_read(struct actor *a, int i)
{
    switch (i / KINDS % 3) {
    case 0:
        cmd(a, MSET_KEYS, "MGET u9:%d u8:%d u7:%d u6:%d u5:%d u4:%d u3:%d u2:%d u1:%d u0:%d", TEN_OF(i));
        break;
    case 1:
        cmd(a, 1, "MULTI");
        for (int k = MSET_KEYS - 1; k >= 0; k--) {
            cmd(a, 1, "GET u%d:%d", k, i);
        }
        cmd(a, MSET_KEYS, "EXEC");
        break;
    default:
        if (i % KINDS == 2) {
            eval(a, 1, get_ten[2], "0 0 %d", i);
        } else {
            eval(a, 1, get_ten[i % KINDS], TEN, TEN_OF(i));
        }
    }
}

static void evalset_write(struct actor *a, int64_t round)
{
    for (int i = 0; i < SPOTS; i++) {
        if (a->id == 1) {
            ten_read(a, i);
        } else if (canary) {
            for (int k = 0; k < MSET_KEYS; k++) {
                cmd(a, 1, "SET u%d:%d %lld", k, i, (long long)round);
            }
        } else if (i % KINDS == 2) {
            eval(a, 1, set_ten[2], "0 %lld %d", (long long)round, i);
        } else {
            eval(a, 1, set_ten[i % KINDS], TEN " %lld", TEN_OF(i), (long long)round);
        }
    }
}

static long evalset_check(struct actor *a, int64_t round)
{
    const int64_t *v = a[1].reply;
    long bad = 0;
    (void)round;
    for (int i = 0; i < SPOTS; i++) {
        int way = i / KINDS % 3;
        if (way == 2) {
            bad += v[0] < 0;
            v++;
            continue;
        }
        v += way == 1 ? MSET_KEYS + 1 : 0;
        bool alike = true;
        for (int k = 1; k < MSET_KEYS; k++) {
            alike = alike && v[k] == v[0];
        }
        bad += !alike;
        v += MSET_KEYS;
    }
    return bad;
}

/* --- store buffering ------------------------------------------------------------------------- */

static const char *const set_one[2] = {"return redis.call('SET', KEYS[1], ARGV[1])",
                                       "local k = KEYS[1] .. '' return redis.call('SET', k, ARGV[1])"};
static const char *const get_one[2] = {"return redis.call('GET', KEYS[1])",
                                       "local k = KEYS[1] .. '' return redis.call('GET', k)"};

static void one_set(struct actor *a, int i, char key, int64_t round)
{
    if ((i + a->id) % 3 == 0) {
        cmd(a, 1, "SET %c:%d %lld", key, i, (long long)round);
    } else {
        eval(a, 1, set_one[i % 2], "1 %c:%d %lld", key, i, (long long)round);
    }
}

static void one_get(struct actor *a, int i, char key)
{
    if ((i + a->id) % 3 == 1) {
        cmd(a, 1, "GET %c:%d", key, i);
    } else {
        eval(a, 1, get_one[i % 2], "1 %c:%d", key, i);
    }
}

static void evalsb_write(struct actor *a, int64_t round)
{
    char mine = a->id == 0 ? 'x' : 'y', other = a->id == 0 ? 'y' : 'x';
    for (int i = 0; i < PAIRS; i++) {
        if (canary) {
            one_get(a, i, other);
            one_set(a, i, mine, round);
        } else {
            one_set(a, i, mine, round);
            one_get(a, i, other);
        }
    }
}

static long evalsb_check(struct actor *a, int64_t round)
{
    long bad = 0;
    for (int i = 0; i < PAIRS; i++) {
        int at = 2 * i + (canary ? 0 : 1);
        bad += a[0].reply[at] != round && a[1].reply[at] != round;
    }
    return bad;
}

/* --- free runs ------------------------------------------------------------------------------- */

static const char *const set_two[2] = {
    "redis.call('SET', KEYS[1], ARGV[1]) redis.call('SET', KEYS[2], ARGV[1]) return 1",
    "local a, b = KEYS[1] .. '', KEYS[2] .. '' redis.call('SET', a, ARGV[1]) redis.call('SET', b, ARGV[1]) return 1",
};
static const char *const get_two[2] = {
    "return {redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2])}",
    "local a, b = KEYS[1] .. '', KEYS[2] .. '' return {redis.call('GET', a), redis.call('GET', b)}",
};

enum { FREE_TIMES = 4 };

/* Slots are linear in the names: equal numbers would put all pairs apart, or none. */
static int other_number(int i)
{
    return i * 7919 % 1000 + 13;
}

static void evalfree_write(struct actor *a, int64_t round)
{
    for (int n = 0; n < FREE_TIMES && a->id < 2; n++) {
        long long v = (long long)round * FREE_TIMES + n;
        for (int i = 0; i < SPOTS; i++) {
            if (a->id == 1) {
                cmd(a, 2, "MGET f:%d h:%d", i, i);
            } else if (canary) {
                cmd(a, 1, "SET f:%d %lld", i, v);
                cmd(a, 1, "SET g:%d %lld", other_number(i), v);
            } else {
                eval(a, 1, set_two[i % 2], "2 g:%d f:%d %lld", other_number(i), i, v);
            }
        }
    }
    for (int i = 0; i < SPOTS && a->id >= 2; i++) {
        int pair = (i * 5 + a->id * 3) % SPOTS;
        eval(a, 2, get_two[pair % 2], "2 g:%d f:%d", other_number(pair), pair);
        cut(a);
    }
}

static long evalfree_check(struct actor *a, int64_t round)
{
    long bad = 0;
    (void)round;
    for (int k = 2; k < 4; k++) {
        for (int i = 0; i < SPOTS; i++) {
            bad += a[k].reply[2 * i] != a[k].reply[2 * i + 1];
        }
    }
    return bad;
}

/* --- the bank -------------------------------------------------------------------------------- */

enum { ACCOUNTS = 8, BANKS = 4, DEPOSIT = 1000 };

static const char *const transfer[KINDS] = {
    "redis.call('DECRBY', KEYS[1], ARGV[1]) redis.call('INCRBY', KEYS[2], ARGV[1]) return 1",
    "local a, b = KEYS[1] .. '', KEYS[2] .. '' redis.call('DECRBY', a, ARGV[1]) redis.call('INCRBY', b, ARGV[1]) return 1",
    "redis.call('DECRBY', ARGV[2], ARGV[1]) redis.call('INCRBY', ARGV[3], ARGV[1]) return 1",
};
static const char *const sum_of[KINDS] = {
    "local s = 0 for i = 1, #KEYS do s = s + redis.call('GET', KEYS[i]) end return s",
    "local s = 0 for i = 1, #KEYS do s = s + redis.call('GET', KEYS[i] .. '') end return s",
    "local s = 0 for i = 0, 7 do s = s + redis.call('GET', 'acc' .. ARGV[1] .. ':' .. i) end return s",
};
#define EIGHT "acc%1$d:0 acc%1$d:1 acc%1$d:2 acc%1$d:3 acc%1$d:4 acc%1$d:5 acc%1$d:6 acc%1$d:7"

static void bank_transfer(struct actor *a, int i, int64_t round)
{
    int bank = i % BANKS, from = (int)((round + i * 3 + a->id) % ACCOUNTS), amount = i % 9 + 1;
    int to = (from + 1 + i % (ACCOUNTS - 1)) % ACCOUNTS;
    if (a->id == 2 && !canary) {
        if (i % KINDS == 2) {
            eval(a, 1, transfer[2], "0 %d acc%d:%d acc%d:%d", amount, bank, from, bank, to);
        } else {
            eval(a, 1, transfer[i % KINDS], "2 acc%d:%d acc%d:%d %d", bank, from, bank, to, amount);
        }
        return;
    }
    if (a->id == 1 && !canary) {
        cmd(a, 1, "WATCH acc%d:%d acc%d:%d", bank, to, bank, (from + 2) % ACCOUNTS);
    }
    cmd(a, 1, canary ? "PING" : "MULTI");
    cmd(a, 1, "DECRBY acc%d:%d %d", bank, from, amount);
    cmd(a, 1, "INCRBY acc%d:%d %d", bank, to, amount);
    cmd(a, canary ? 1 : 2, canary ? "PING" : "EXEC");
}

static void bank_read(struct actor *a, int i)
{
    int bank = i % BANKS;
    switch (i / BANKS % 3) {
    case 0:
        cmd(a, ACCOUNTS, "MGET " EIGHT, bank);
        break;
    case 1:
        cmd(a, 1, "MULTI");
        for (int k = 0; k < ACCOUNTS; k++) {
            cmd(a, 1, "GET acc%d:%d", bank, k);
        }
        cmd(a, ACCOUNTS, "EXEC");
        break;
    default:
        if (i % KINDS == 2) {
            eval(a, 1, sum_of[2], "0 %d", bank);
        } else {
            eval(a, 1, sum_of[i % KINDS], "8 " EIGHT, bank);
        }
    }
}

static void bank_write(struct actor *a, int64_t round)
{
    for (int i = 0; i < SPOTS; i++) {
        if (a->id == 3) {
            bank_read(a, i);
        } else {
            bank_transfer(a, i, round);
        }
        if (a->race->with != NULL && !canary) {
            cut(a);
        }
    }
}

static void bank_setup(struct actor *a)
{
    for (int bank = 0; bank < BANKS; bank++) {
        for (int k = 0; k < ACCOUNTS; k++) {
            cmd(a, 1, "SET acc%d:%d %d", bank, k, DEPOSIT);
        }
    }
}

static long bank_check(struct actor *a, int64_t round)
{
    const int64_t *v = a[3].reply;
    long bad = 0;
    (void)round;
    for (int i = 0; i < SPOTS; i++) {
        int64_t sum = 0;
        int way = i / BANKS % 3;
        v += way == 1 ? ACCOUNTS + 1 : 0;
        for (int k = 0; k < (way == 2 ? 1 : ACCOUNTS); k++) {
            sum += *v++;
        }
        bad += sum != ACCOUNTS * DEPOSIT;
    }
    return bad;
}

static const char each[] = "each for itself";

const struct race races_scripts[] = {
    {"evalset", 2, evalset_write, evalset_check, evalset_write, NULL, NULL},
    {"evalsb", 2, evalsb_write, evalsb_check, NULL, NULL, NULL},
    {"evalfree", 4, evalfree_write, evalfree_check, evalfree_write, NULL, NULL},
    {"bank", 4, bank_write, bank_check, bank_write, bank_setup, NULL},
    {"bankeach", 4, bank_write, bank_check, bank_write, bank_setup, each},
    {NULL, 0, NULL, NULL, NULL, NULL, NULL},
};
