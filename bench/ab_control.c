/* ab_control.c - see ab_control.h. */
#include "bench/ab_control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { ANSWER_S_MAX = 10, DEPTH_MAX = 16, COUNT_MAX = 1 << 24, READ_BYTES = 16384 };

static void *need(void *memory)
{
    if (!memory) {
        fprintf(stderr, "ashlar-bench: out of memory\n");
        exit(1);
    }
    return memory;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* At least n bytes from at on. */
static bool have(struct ab_control *c, size_t n)
{
    while (c->len - c->at < n) {
        if (c->at > 0) {
            memmove(c->buf, c->buf + c->at, c->len - c->at);
            c->len -= c->at;
            c->at = 0;
        }
        if (c->cap < c->len + READ_BYTES) {
            c->cap = (c->len + READ_BYTES) * 2;
            c->buf = need(realloc(c->buf, c->cap));
        }
        ssize_t got = read(c->fd, c->buf + c->len, c->cap - c->len);
        if (got <= 0) {
            return false;
        }
        c->len += (size_t)got;
    }
    return true;
}

/* A line without its \r\n, copied. NULL: gone. */
static char *read_line(struct ab_control *c)
{
    size_t n = 0;
    for (;; n++) {
        if (!have(c, n + 1)) {
            return NULL;
        }
        if (c->buf[c->at + n] == '\n') {
            break;
        }
    }
    char *line = need(strndup(c->buf + c->at, n > 0 ? n - 1 : 0));
    c->at += n + 1;
    return line;
}

static bool read_tree(struct ab_control *c, struct ab_tree *t, int depth)
{
    char *line = read_line(c);
    bool ok = line && line[0] && depth < DEPTH_MAX;

    memset(t, 0, sizeof *t);
    if (!ok) {
        free(line);
        return false;
    }
    long long n = strtoll(line + 1, NULL, 10);
    t->type = line[0];
    if (strchr("$=!", line[0])) {
        t->type = n < 0 ? '_' : line[0] == '!' ? '-' : '$';
        if (n >= 0 && (ok = have(c, (size_t)n + 2))) {
            t->text = need(strndup(c->buf + c->at, (size_t)n));
            t->text_bytes = (size_t)n;
            c->at += (size_t)n + 2;
        }
    } else if (strchr("*~%>", line[0])) {
        t->type = n < 0 ? '_' : '*';
        size_t count = n < 0 ? 0 : (size_t)n * (line[0] == '%' ? 2 : 1);
        ok = count <= COUNT_MAX;
        t->item = ok ? need(calloc(count + 1, sizeof *t->item)) : NULL;
        for (size_t i = 0; i < count && ok; i++) {
            ok = read_tree(c, &t->item[i], depth + 1);
            t->count = i + 1;
        }
    } else if (line[0] == ':') {
        t->number = n;
    } else {
        t->text = need(strdup(line + 1));
        t->text_bytes = strlen(t->text);
    }
    free(line);
    return ok;
}

static void free_items(struct ab_tree *t)
{
    for (size_t i = 0; i < t->count; i++) {
        free_items(&t->item[i]);
    }
    free(t->item);
    free(t->text);
}

void ab_tree_free(struct ab_tree *t)
{
    if (t) {
        free_items(t);
        free(t);
    }
}

static struct ab_tree *read_reply(struct ab_control *c)
{
    struct ab_tree *t = need(calloc(1, sizeof *t));
    if (!read_tree(c, t, 0)) {
        ab_tree_free(t);
        return NULL;
    }
    return t;
}

static bool send_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
        if (n <= 0) {
            return false;
        }
        bytes += n;
        len -= (size_t)n;
    }
    return true;
}

struct ab_tree *ab_control_ask(struct ab_control *c, int argc, const char *const *args)
{
    char head[32];
    bool ok = send_all(c->fd, head, (size_t)snprintf(head, sizeof head, "*%d\r\n", argc));
    for (int i = 0; i < argc && ok; i++) {
        size_t n = strlen(args[i]);
        ok = send_all(c->fd, head, (size_t)snprintf(head, sizeof head, "$%zu\r\n", n)) &&
             send_all(c->fd, args[i], n) && send_all(c->fd, "\r\n", 2);
    }
    return ok ? read_reply(c) : NULL;
}

/* ---- opening --------------------------------------------------------------------------------- */

bool ab_control_open(struct ab_control *c, const struct ab_target *t, const char *host, uint16_t port,
                     char err[400])
{
    struct timeval timeout = {.tv_sec = ANSWER_S_MAX};
    struct ab_target plain = *t;
    char name[300], greeting[2048];
    int count;

    memset(c, 0, sizeof *c);
    ab_target_name(t, host, port, name);
    c->fd = ab_target_connect(t, host, port, true);
    if (c->fd < 0) {
        snprintf(err, 400, "Could not connect to Redis at %s: %s", name,
                 c->fd == -EADDRNOTAVAIL ? "Name or service not known" : strerror(-c->fd));
        return false;
    }
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    plain.resp3 = plain.tracking = false;
    plain.db = 0;
    size_t len = ab_target_greeting(&plain, greeting, sizeof greeting, &count);
    bool ok = send_all(c->fd, greeting, len);
    snprintf(err, 400, "the server %s does not answer", name);
    for (int i = 0; i < count && ok; i++) {
        struct ab_tree *reply = read_reply(c);
        ok = reply && reply->type != '-';
        if (reply && !ok) {
            snprintf(err, 400, "Error from server: %s", reply->text);
        }
        ab_tree_free(reply);
    }
    if (!ok) {
        ab_control_close(c);
    }
    return ok;
}

void ab_control_close(struct ab_control *c)
{
    if (c->fd >= 0) {
        close(c->fd);
    }
    free(c->buf);
    c->buf = NULL;
    c->fd = -1;
}

/* ---- INFO ------------------------------------------------------------------------------------ */

static void field(const char *info, const char *name, char *out, size_t room)
{
    size_t n = strlen(name);
    out[0] = 0;
    for (const char *p = info; p && *p; p = strchr(p, '\n'), p += p ? 1 : 0) {
        if (strncmp(p, name, n) == 0 && p[n] == ':') {
            snprintf(out, room, "%.*s", (int)strcspn(p + n + 1, "\r\n"), p + n + 1);
            return;
        }
    }
}

bool ab_control_info(struct ab_control *c, struct ab_server_info *out)
{
    char number[32];
    struct ab_tree *t = ab_control_ask(c, 1, (const char *[]){"INFO"});

    memset(out, 0, sizeof *out);
    if (!t || t->type != '$') {
        bool alive = t;
        ab_tree_free(t);
        return alive;
    }
    field(t->text, "redis_version", out->version, sizeof out->version);
    field(t->text, "redis_mode", out->mode, sizeof out->mode);
    field(t->text, "os", out->os, sizeof out->os);
    field(t->text, "server_name", out->name, sizeof out->name);
    field(t->text, "process_id", number, sizeof number);
    out->pid = atoll(number);
    field(t->text, "uptime_in_seconds", number, sizeof number);
    out->uptime_s = atoll(number);
    field(t->text, "loading", number, sizeof number);
    out->loading = atoi(number) != 0;
    ab_tree_free(t);
    return true;
}

static void find_one(const struct ab_target *t, const char *host, uint16_t port, struct ab_cpu *cpu)
{
    struct ab_control c;
    struct ab_server_info info;
    char err[400];

    if (!ab_control_open(&c, t, host, port, err)) {
        cpu->incomplete = true;
        return;
    }
    if (!ab_cpu_is_local(c.fd) || !ab_control_info(&c, &info)) {
        cpu->incomplete = true;
    } else {
        ab_cpu_add(cpu, (pid_t)info.pid, (uint64_t)info.uptime_s);
    }
    ab_control_close(&c);
}

void ab_control_find_cpu(const struct ab_target *t, struct ab_cluster *cluster, struct ab_cpu *cpu)
{
    memset(cpu, 0, sizeof *cpu);
    if (!cluster) {
        find_one(t, NULL, 0, cpu);
        return;
    }
    int count = atomic_load(&cluster->node_count);
    for (int i = 0; i < count; i++) {
        find_one(t, cluster->node[i].host, cluster->node[i].port, cpu);
    }
}

/* ---- CLUSTER SLOTS --------------------------------------------------------------------------- */

/* [first, last, [host, port, id, …], replicas …]. An empty or missing host: the one we asked. */
static bool take_range(const struct ab_tree *range, const struct ab_target *t, struct ab_cluster *c)
{
    if (range->type != '*' || range->count < 3 || range->item[2].count < 2) {
        return false;
    }
    const struct ab_tree *master = &range->item[2];
    long long first = range->item[0].number, last = range->item[1].number;
    const char *host = master->item[0].text && master->item[0].text[0] ? master->item[0].text : t->host;
    if (first < 0 || last >= AB_SLOTS || first > last) {
        return false;
    }
    int node = ab_cluster_add_mp(c, host, (uint16_t)master->item[1].number);
    for (long long s = first; s <= last && node >= 0; s++) {
        atomic_store_explicit(&c->slot[s], (uint16_t)node, memory_order_relaxed);
    }
    return node >= 0;
}

bool ab_control_slots(struct ab_control *c, const struct ab_target *t, struct ab_cluster *cluster,
                      char err[400])
{
    struct ab_tree *reply = ab_control_ask(c, 2, (const char *[]){"CLUSTER", "SLOTS"});
    bool ok = reply && reply->type == '*' && reply->count > 0;

    for (size_t i = 0; ok && i < reply->count; i++) {
        ok = take_range(&reply->item[i], t, cluster);
    }
    if (!ok) {
        snprintf(err, 400, "CLUSTER SLOTS: %s",
                 !reply ? "no answer" : reply->type == '-' ? reply->text
                        : reply->count == 0 ? "no slots are assigned" : "an answer that I do not understand");
    }
    ab_tree_free(reply);
    return ok;
}
