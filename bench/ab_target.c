/* ab_target.c - see ab_target.h. */
#include "bench/ab_target.h"

#include "io/net.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { CONNECT_MS_MAX = 10000 };

static int wait_connected(int fd)
{
    struct pollfd p = {fd, POLLOUT, 0};
    int error = 0;
    socklen_t len = sizeof error;

    if (poll(&p, 1, CONNECT_MS_MAX) != 1) {
        return -ETIMEDOUT;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0) {
        return -errno;
    }
    if (error == 0) {
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    }
    return -error;
}

/* A full backlog makes a non-blocking connect of a unix socket fail, so that one blocks; it never
 * takes long. */
static int connect_unix(const char *path, bool wait)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        return -ENAMETOOLONG;
    }
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    if (!wait) {
        fcntl(fd, F_SETFL, O_NONBLOCK);
    }
    return fd;
}

int ab_target_connect(const struct ab_target *t, const char *host, uint16_t port, bool wait)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *list;
    char service[8];
    int rc = -EADDRNOTAVAIL;

    if (!host && t->unix_path) {
        return connect_unix(t->unix_path, wait);
    }
    snprintf(service, sizeof service, "%u", host ? port : t->port);
    if (getaddrinfo(host ? host : t->host, service, &hints, &list) != 0) {
        return rc;
    }
    for (struct addrinfo *a = list; a && rc < 0; a = a->ai_next) {
        int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0) {
            rc = -errno;
            continue;
        }
        rc = connect(fd, a->ai_addr, a->ai_addrlen) == 0 || errno == EINPROGRESS ? 0 : -errno;
        if (rc == 0 && wait) {
            rc = wait_connected(fd);
        }
        if (rc < 0) {
            close(fd);
        } else {
            net_set_nodelay(fd);
            rc = fd;
        }
    }
    freeaddrinfo(list);
    return rc;
}

void ab_target_name(const struct ab_target *t, const char *host, uint16_t port, char out[300])
{
    if (!host && t->unix_path) {
        snprintf(out, 300, "%s", t->unix_path);
    } else {
        snprintf(out, 300, "%s:%u", host ? host : t->host, host ? port : t->port);
    }
}

struct writer {
    char *out;
    size_t at, room;
    bool full;
};

static void put(struct writer *w, int argc, const char *const *args)
{
    for (int i = -1; i < argc; i++) {
        size_t left = w->room - w->at;
        int n = i < 0 ? snprintf(w->out + w->at, left, "*%d\r\n", argc)
                      : snprintf(w->out + w->at, left, "$%zu\r\n%s\r\n", strlen(args[i]), args[i]);
        if ((size_t)n >= left) {
            w->full = true;
            return;
        }
        w->at += (size_t)n;
    }
}

size_t ab_target_greeting(const struct ab_target *t, char *out, size_t room, int *count)
{
    struct writer w = {out, 0, room, false};
    char db[16];

    *count = 0;
    if (t->password) {
        if (t->user) {
            put(&w, 3, (const char *[]){"AUTH", t->user, t->password});
        } else {
            put(&w, 2, (const char *[]){"AUTH", t->password});
        }
        ++*count;
    }
    if (t->resp3) {
        put(&w, 2, (const char *[]){"HELLO", "3"});
        ++*count;
    }
    if (t->db != 0) {
        snprintf(db, sizeof db, "%d", t->db);
        put(&w, 2, (const char *[]){"SELECT", db});
        ++*count;
    }
    if (t->tracking) {
        put(&w, 3, (const char *[]){"CLIENT", "TRACKING", "on"});
        ++*count;
    }
    return w.full ? 0 : w.at;
}
