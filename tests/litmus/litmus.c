/* litmus.c - races over many keys that only one order of all commands survives (DESIGN.md, 3 and 5).
 *
 *   litmus PORT [--seconds S] [--test NAME] [--seed N] [--canary]
 *
 * Two to four connections send pipelines at the same moment, thousands of key pairs a round; a
 * violation is an outcome that no single order of the commands, respecting each connection's
 * order, can give. Values are round numbers: a read is "new" when it sees this round's.
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
 *   free  A: MSET x y, again and again  B: MGET y z  C, D: MULTI, GET x, GET y, EXEC, each for itself
 *                                                       x and y are the same
 *   echo  pipelines of numbered commands of all kinds   replies in order
 *
 * "Each for itself" means that a connection waits for the replies before it sends more: that is how
 * runs become free, which need no horizon (shards/README.md).
 *
 * --canary sends the two commands of each pair the other way round (and leaves MULTI and WATCH out),
 * so that violations must be found: a test of the test. A server that runs what arrives together without a break would hide
 * them; so canaries send their pipelines in small pieces with pauses of random length.
 * Exit 0: none; 1: violations; 2: trouble.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ACTORS_MAX = 4, PAIRS = 256, REPLIES_MAX = PAIRS * 12 + 16, CUTS_MAX = PAIRS, OUT_BYTES = 1 << 20, MSET_KEYS = 10,
       CANARY_PIECES = 128, CANARY_PAUSE_US = 60 };

struct actor {
    int fd, id;
    char *out;
    size_t out_len;
    int expected;             /* replies, nested elements counted one by one */
    struct {
        size_t out_len;
        int expected;
    } cut[CUTS_MAX];          /* up to each of them: sent only when all before is answered */
    int cuts;
    int64_t *reply;           /* numbers; -1 for nil; -2 for a status; -3 for an error */
    char in[1 << 16];
    size_t in_at, in_len;
    pthread_t thread;
};

struct test {
    const char *name;
    int actors;
    void (*write)(struct actor *a, int64_t round);
    long (*check)(struct actor *a, int64_t round); /* number of violations */
};

static struct actor actors[ACTORS_MAX];
static pthread_barrier_t begin, finish;
static const struct test *current;
static volatile bool stop;
static int64_t round_now;
static bool canary;
static unsigned seed = 1;

static void trouble(const char *what)
{
    perror(what);
    exit(2);
}

/* --- RESP ------------------------------------------------------------------------------------ */

static void put(struct actor *a, const char *text, size_t len)
{
    if (a->out_len + len > OUT_BYTES) {
        fprintf(stderr, "litmus: pipeline too long\n");
        exit(2);
    }
    memcpy(a->out + a->out_len, text, len);
    a->out_len += len;
}

/* A command of words separated by blanks; expected counts the scalars of its reply. */
static void cmd(struct actor *a, int expected, const char *fmt, ...)
{
    char line[1024], head[32];
    va_list ap;
    va_start(ap, fmt);
    int len = vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    int words = 1;
    for (int i = 0; i < len; i++) {
        words += line[i] == ' ';
    }
    put(a, head, (size_t)snprintf(head, sizeof head, "*%d\r\n", words));
    for (char *word = strtok(line, " "); word != NULL; word = strtok(NULL, " ")) {
        put(a, head, (size_t)snprintf(head, sizeof head, "$%zu\r\n", strlen(word)));
        put(a, word, strlen(word));
        put(a, "\r\n", 2);
    }
    a->expected += expected;
}

static int next_byte(struct actor *a)
{
    if (a->in_at == a->in_len) {
        ssize_t n = read(a->fd, a->in, sizeof a->in);
        if (n <= 0) {
            trouble("litmus: the server closed the connection");
        }
        a->in_len = (size_t)n;
        a->in_at = 0;
    }
    return (unsigned char)a->in[a->in_at++];
}

static size_t next_line(struct actor *a, char *line, size_t max)
{
    size_t n = 0;
    int c;
    while ((c = next_byte(a)) != '\n') {
        if (n + 1 < max) {
            line[n++] = (char)c;
        }
    }
    line[n > 0 ? n - 1 : 0] = '\0'; /* the \r */
    return n;
}

static int read_reply(struct actor *a, int at)
{
    char line[512];
    next_line(a, line, sizeof line);
    switch (line[0]) {
    case ':':
        a->reply[at] = strtoll(line + 1, NULL, 10);
        return at + 1;
    case '+':
        a->reply[at] = -2;
        return at + 1;
    case '-':
        a->reply[at] = -3;
        return at + 1;
    case '$': {
        long len = strtol(line + 1, NULL, 10);
        a->reply[at] = -1;
        if (len >= 0) {
            next_line(a, line, sizeof line);
            a->reply[at] = strtoll(line, NULL, 10);
        }
        return at + 1;
    }
    case '*': {
        long n = strtol(line + 1, NULL, 10);
        if (n < 0) {
            a->reply[at++] = -1;
        }
        for (long i = 0; i < n; i++) {
            at = read_reply(a, at);
        }
        return at;
    }
    }
    fprintf(stderr, "litmus: not a reply: %s\n", line);
    exit(2);
}

static void write_some(struct actor *a, size_t from, size_t to)
{
    while (from < to) {
        ssize_t n = write(a->fd, a->out + from, to - from);
        if (n <= 0) {
            trouble("litmus: write");
        }
        from += (size_t)n;
    }
}

static void write_all(struct actor *a)
{
    write_some(a, 0, a->out_len);
}

/* About as many pieces for a short pipeline as for a long one, so that the actors keep abreast. */
static void write_pieces(struct actor *a, unsigned *state)
{
    size_t mean = a->out_len / CANARY_PIECES + 1, at = 0;
    while (at < a->out_len) {
        size_t piece = 1 + (size_t)rand_r(state) % (2 * mean);
        if (piece > a->out_len - at) {
            piece = a->out_len - at;
        }
        write_some(a, at, at + piece);
        at += piece;
        struct timespec pause = {.tv_nsec = rand_r(state) % (2 * CANARY_PAUSE_US * 1000)};
        nanosleep(&pause, NULL);
    }
}

/* What was written since the last cut waits for the replies to what is before it. */
static void cut(struct actor *a)
{
    a->cut[a->cuts].out_len = a->out_len;
    a->cut[a->cuts++].expected = a->expected;
}

static int write_cuts(struct actor *a)
{
    int at = 0;
    size_t sent = 0;
    for (int i = 0; i < a->cuts; i++) {
        write_some(a, sent, a->cut[i].out_len);
        sent = a->cut[i].out_len;
        while (at < a->cut[i].expected) {
            at = read_reply(a, at);
        }
    }
    return at;
}

static void connect_actor(struct actor *a, int port)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int one = 1;
    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    a->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (a->fd < 0 || connect(a->fd, (struct sockaddr *)&sa, sizeof sa) != 0) {
        trouble("litmus: connect");
    }
    setsockopt(a->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    a->out = malloc(OUT_BYTES);
    a->reply = malloc(REPLIES_MAX * sizeof *a->reply);
}

/* --- the tests ------------------------------------------------------------------------------- */

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
    for (int i = 0; i < PAIRS / 2; i++) {
        cmd(a, 1, "PEXPIRE nx:%lld:%d 1000", r, i);
        cmd(a, 1, "PEXPIRE n%d:%lld:%d 1000", a->id, r, i);
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
        bad += !canary && (a[0].reply[2 * i] != -2 || a[0].reply[2 * i + 1] != -2);
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

static const struct test tests[] = {
    {"sb", 2, sb_write, sb_check},       {"mp", 2, mp_write, mp_check},
    {"lb", 2, lb_write, lb_check},       {"iriw", 4, iriw_write, iriw_check},
    {"mset", 2, mset_write, mset_check}, {"nx", 2, nx_write, nx_check},
    {"move", 2, move_write, move_check}, {"swap", 2, swap_write, swap_check},
    {"exec", 2, exec_write, exec_check}, {"watch", 2, watch_write, watch_check},
    {"free", 4, free_write, free_check}, {"echo", 2, echo_write, echo_check},
};

/* --- running --------------------------------------------------------------------------------- */

static void jitter(unsigned *state)
{
    *state = *state * 1103515245u + 12345u;
    for (volatile unsigned i = (*state >> 16) % 4096; i > 0; i--) {
    }
}

static void *act(void *arg)
{
    struct actor *a = arg;
    unsigned state = seed * 7919u + (unsigned)a->id;
    for (;;) {
        pthread_barrier_wait(&begin);
        if (stop) {
            return NULL;
        }
        jitter(&state);
        int at = 0;
        if (a->cuts > 0) {
            at = write_cuts(a);
        } else if (canary) {
            write_pieces(a, &state);
        } else {
            write_all(a);
        }
        while (at < a->expected) {
            at = read_reply(a, at);
        }
        pthread_barrier_wait(&finish);
    }
}

static void setup(struct actor *a)
{
    a->out_len = 0;
    a->expected = 0;
    for (int i = 0; i < PAIRS / 4; i++) {
        cmd(a, 1, "DEL s:%d", i);
        cmd(a, 1, "SET r:%d 0", i);
        cmd(a, 1, "MSET p:%d 0 q:%d 0", i, i);
    }
    write_all(a);
    for (int at = 0; at < a->expected;) {
        at = read_reply(a, at);
    }
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static long run_test(const struct test *t, double seconds)
{
    long bad = 0, rounds = 0;
    current = t;
    stop = false;
    setup(&actors[0]);
    pthread_barrier_init(&begin, NULL, (unsigned)t->actors + 1);
    pthread_barrier_init(&finish, NULL, (unsigned)t->actors + 1);
    for (int i = 0; i < t->actors; i++) {
        pthread_create(&actors[i].thread, NULL, act, &actors[i]);
    }
    double end = now_s() + seconds;
    while (now_s() < end) {
        round_now++;
        for (int i = 0; i < t->actors; i++) {
            actors[i].out_len = 0;
            actors[i].expected = 0;
            actors[i].cuts = 0;
            t->write(&actors[i], round_now);
        }
        pthread_barrier_wait(&begin);
        pthread_barrier_wait(&finish);
        bad += t->check(actors, round_now);
        rounds++;
    }
    stop = true;
    pthread_barrier_wait(&begin);
    for (int i = 0; i < t->actors; i++) {
        pthread_join(actors[i].thread, NULL);
    }
    printf("%-5s %6ld rounds, %ld violations\n", t->name, rounds, bad);
    fflush(stdout);
    return bad;
}

int main(int argc, char **argv)
{
    double seconds = 2;
    const char *only = NULL;
    if (argc < 2) {
        fprintf(stderr, "usage: litmus PORT [--seconds S] [--test NAME] [--seed N] [--canary]\n");
        return 2;
    }
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--canary") == 0) {
            canary = true;
        } else if (i + 1 < argc && strcmp(argv[i], "--seconds") == 0) {
            seconds = atof(argv[++i]);
        } else if (i + 1 < argc && strcmp(argv[i], "--test") == 0) {
            only = argv[++i];
        } else if (i + 1 < argc && strcmp(argv[i], "--seed") == 0) {
            seed = (unsigned)atoi(argv[++i]);
        } else {
            fprintf(stderr, "litmus: unknown option %s\n", argv[i]);
            return 2;
        }
    }
    round_now = (int64_t)time(NULL) * 1000; /* newer than what an earlier run has left */
    for (int i = 0; i < ACTORS_MAX; i++) {
        actors[i].id = i;
        connect_actor(&actors[i], atoi(argv[1]));
    }
    long bad = 0;
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        if (only == NULL || strcmp(only, tests[i].name) == 0) {
            bad += run_test(&tests[i], seconds);
        }
    }
    return bad > 0 ? 1 : 0;
}
