/* litmus.c - races over many keys that only one order of all commands survives (DESIGN.md, 3 and 5).
 *
 *   litmus PORT [--seconds S] [--test NAME] [--seed N] [--canary] [--kill] [--list]
 *
 * Two to four connections send pipelines at the same moment, hundreds of key pairs a round; a
 * violation is an outcome that no single order of the commands, respecting each connection's
 * order, can give. The races stand in races.c (the classic ones), writers.c (commands over several
 * keys of every kind), scripts.c (EVAL, EXEC and WATCH at once) and waits.c (blocking commands).
 *
 * --kill adds clients that send what the actors send and vanish in the middle of it: closed, reset,
 * or ended by CLIENT KILL. Races that do not allow it are left out.
 * --canary breaks what must be one up into commands, or turns the order round, so that violations
 * must be found: a test of the test. A server that runs what arrives together without a break would
 * hide them; so canaries send their pipelines in small pieces with pauses of random length.
 * Exit 0: none; 1: violations; 2: trouble.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "litmus.h"

enum { CANARY_PIECES = 128, CANARY_PAUSE_US = 60, VICTIMS = 3, VICTIM_PAUSE_US = 500, REPLY_SLACK = 4096 };

static const struct race *const all[] = {races_classic, races_writers, races_scripts, races_waits};

static struct actor actors[ACTORS_MAX], victims[VICTIMS];
static pthread_barrier_t begin, finish;
static const struct race *current;
static atomic_bool stop;
static _Atomic int64_t round_now;
static _Atomic long vanished;
static unsigned seed = 1;
static int port;
bool canary, killing;

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

static void put_word(struct actor *a, const char *word)
{
    char head[32];
    put(a, head, (size_t)snprintf(head, sizeof head, "$%zu\r\n", strlen(word)));
    put(a, word, strlen(word));
    put(a, "\r\n", 2);
}

static void put_command(struct actor *a, int scalars, const char *script, char *line, int len)
{
    char head[32];
    int words = 1;
    for (int i = 0; i < len; i++) {
        words += line[i] == ' ';
    }
    if (a->commands == REPLIES_MAX || a->expected + scalars > REPLIES_MAX) {
        fprintf(stderr, "litmus: too many replies\n");
        exit(2);
    }
    put(a, head, (size_t)snprintf(head, sizeof head, "*%d\r\n", words + (script != NULL ? 2 : 0)));
    if (script != NULL) {
        put_word(a, "EVAL");
        put_word(a, script);
    }
    char *rest;
    for (char *word = strtok_r(line, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        put_word(a, word);
    }
    a->scalars[a->commands++] = (short)scalars;
    a->expected += scalars;
}

void cmd(struct actor *a, int scalars, const char *fmt, ...)
{
    char line[1024];
    va_list ap;
    va_start(ap, fmt);
    int len = vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    put_command(a, scalars, NULL, line, len);
}

void eval(struct actor *a, int scalars, const char *script, const char *fmt, ...)
{
    char line[1024];
    va_list ap;
    va_start(ap, fmt);
    int len = vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    put_command(a, scalars, script, line, len);
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

/* The scalars of one reply, from reply[at] on; where they end. */
static int read_scalars(struct actor *a, int at)
{
    char line[512];
    next_line(a, line, sizeof line);
    if (at >= REPLIES_MAX + REPLY_SLACK) {
        fprintf(stderr, "litmus: a reply of too many elements\n");
        exit(2);
    }
    switch (line[0]) {
    case ':':
        a->reply[at] = strtoll(line + 1, NULL, 10);
        return at + 1;
    case '+':
        a->reply[at] = STATUS;
        return at + 1;
    case '-':
        a->reply[at] = ERROR;
        return at + 1;
    case '$': {
        long len = strtol(line + 1, NULL, 10);
        a->reply[at] = NIL;
        if (len >= 0) {
            next_line(a, line, sizeof line);
            a->reply[at] = strtoll(line, NULL, 10);
        }
        return at + 1;
    }
    case '*': {
        long n = strtol(line + 1, NULL, 10);
        if (n < 0) {
            a->reply[at++] = NIL;
        }
        for (long i = 0; i < n; i++) {
            at = read_scalars(a, at);
        }
        return at;
    }
    }
    fprintf(stderr, "litmus: not a reply: %s\n", line);
    exit(2);
}

static int read_reply(struct actor *a, int at)
{
    int end = read_scalars(a, at), wanted = a->scalars[a->read++];
    bool nil = end == at + 1 && a->reply[at] == NIL;
    for (int i = at; i < at + wanted && end != at + wanted; i++) {
        a->reply[i] = nil ? NIL : i < end && end < at + wanted ? a->reply[i] : ODD;
    }
    return at + wanted;
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

void cut(struct actor *a)
{
    a->cut[a->cuts].out_len = a->out_len;
    a->cut[a->cuts++].commands = a->commands;
}

static int write_cuts(struct actor *a)
{
    int at = 0;
    size_t sent = 0;
    for (int i = 0; i < a->cuts; i++) {
        write_some(a, sent, a->cut[i].out_len);
        sent = a->cut[i].out_len;
        while (a->read < a->cut[i].commands) {
            at = read_reply(a, at);
        }
    }
    write_some(a, sent, a->out_len);
    return at;
}

static void clear(struct actor *a)
{
    a->out_len = 0;
    a->commands = a->expected = a->read = a->cuts = 0;
}

static int connected(void)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof sa) != 0) {
        trouble("litmus: connect");
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static void actor_init(struct actor *a, int id)
{
    a->id = id;
    a->out = malloc(OUT_BYTES);
    a->reply = malloc((REPLIES_MAX + REPLY_SLACK) * sizeof *a->reply);
    if (a->out == NULL || a->reply == NULL) {
        trouble("litmus: malloc");
    }
}

/* --- those who vanish ------------------------------------------------------------------------ */

static void pause_us(unsigned *state, int most)
{
    struct timespec pause = {.tv_nsec = rand_r(state) % (most * 1000)};
    nanosleep(&pause, NULL);
}

/* The connection's number, as CLIENT KILL wants it. */
static int64_t ask_id(struct actor *a)
{
    clear(a);
    cmd(a, 1, "CLIENT ID");
    write_all(a);
    read_reply(a, 0);
    return a->reply[0];
}

static void *vanish(void *arg)
{
    struct actor *v = arg;
    unsigned state = seed * 104729u + (unsigned)(v - victims);
    int killer = connected();
    while (!stop) {
        v->fd = connected();
        v->in_at = v->in_len = 0;
        int64_t id = ask_id(v);
        clear(v);
        v->id = rand_r(&state) % current->actors;
        v->race = current;
        int64_t round = round_now;
        current->victim(v, round);
        /* All of it or a part, which ends anywhere. Nothing blocks: the server takes all. */
        size_t part = rand_r(&state) % 4 == 0 ? v->out_len : (size_t)rand_r(&state) % (v->out_len + 1);
        if (send(v->fd, v->out, part, MSG_NOSIGNAL | MSG_DONTWAIT) > 0) {
            pause_us(&state, VICTIM_PAUSE_US);
        }
        int how = rand_r(&state) % 4;
        if (how == 0) {
            char line[128];
            int len = snprintf(line, sizeof line, "CLIENT KILL ID %lld\r\n", (long long)id);
            if (write(killer, line, (size_t)len) != len || read(killer, line, sizeof line) <= 0) {
                trouble("litmus: CLIENT KILL");
            }
        } else if (how == 1) {
            struct linger reset = {.l_onoff = 1};
            setsockopt(v->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        }
        close(v->fd);
        vanished++;
        while (!stop && round == round_now) {
            pause_us(&state, VICTIM_PAUSE_US); /* what it has sent is executed: no more than all others send */
        }
    }
    close(killer);
    return NULL;
}

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
        while (a->read < a->commands) {
            at = read_reply(a, at);
        }
        pthread_barrier_wait(&finish);
    }
}

static void run_setup(const struct race *r, struct actor *a)
{
    clear(a);
    a->race = r;
    r->setup(a);
    write_all(a);
    for (int at = 0; a->read < a->commands;) {
        at = read_reply(a, at);
    }
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static long run_race(const struct race *r, double seconds)
{
    long bad = 0, rounds = 0;
    current = r;
    stop = false;
    if (r->setup != NULL) {
        run_setup(r, &actors[0]);
    }
    pthread_barrier_init(&begin, NULL, (unsigned)r->actors + 1);
    pthread_barrier_init(&finish, NULL, (unsigned)r->actors + 1);
    for (int i = 0; i < r->actors; i++) {
        pthread_create(&actors[i].thread, NULL, act, &actors[i]);
    }
    round_now++;
    for (int i = 0; killing && i < VICTIMS; i++) {
        pthread_create(&victims[i].thread, NULL, vanish, &victims[i]);
    }
    double end = now_s() + seconds;
    while (now_s() < end) {
        int64_t round = ++round_now;
        for (int i = 0; i < r->actors; i++) {
            clear(&actors[i]);
            actors[i].race = r;
            r->write(&actors[i], round);
        }
        pthread_barrier_wait(&begin);
        pthread_barrier_wait(&finish);
        bad += r->check(actors, round);
        rounds++;
    }
    stop = true;
    pthread_barrier_wait(&begin);
    for (int i = 0; i < r->actors; i++) {
        pthread_join(actors[i].thread, NULL);
    }
    for (int i = 0; killing && i < VICTIMS; i++) {
        pthread_join(victims[i].thread, NULL);
    }
    printf("%-10s %6ld rounds, %ld violations\n", r->name, rounds, bad);
    fflush(stdout);
    return bad;
}

int main(int argc, char **argv)
{
    double seconds = 2;
    const char *only = NULL;
    bool list = false;
    if (argc < 2) {
        fprintf(stderr, "usage: litmus PORT [--seconds S] [--test NAME] [--seed N] [--canary] [--kill] [--list]\n");
        return 2;
    }
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--canary") == 0) {
            canary = true;
        } else if (strcmp(argv[i], "--kill") == 0) {
            killing = true;
        } else if (strcmp(argv[i], "--list") == 0) {
            list = true;
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
    port = atoi(argv[1]);
    round_now = (int64_t)time(NULL) * 1000; /* newer than what an earlier run has left */
    for (int i = 0; i < ACTORS_MAX && !list; i++) {
        actor_init(&actors[i], i);
        actors[i].fd = connected();
    }
    for (int i = 0; i < VICTIMS; i++) {
        actor_init(&victims[i], 0);
    }
    long bad = 0;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        for (const struct race *r = all[i]; r->name != NULL; r++) {
            if ((only != NULL && strcmp(only, r->name) != 0) || (killing && r->victim == NULL)) {
                continue;
            }
            if (list) {
                printf("%s\n", r->name);
            } else {
                bad += run_race(r, seconds);
            }
        }
    }
    if (killing && !list) {
        printf("%ld clients vanished\n", vanished);
    }
    return bad > 0 ? 1 : 0;
}
