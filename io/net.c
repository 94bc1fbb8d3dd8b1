/* net.c - addresses and listening sockets. Stateless; any thread. The texts of errors are those
 * that users of Redis know ("bind: Address already in use"), which its log and its tests quote. */
#include "io/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { KEEPALIVE_PROBES = 3 };

union address {
    struct sockaddr sa;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_un un;
    struct sockaddr_storage storage;
};

static __attribute__((format(printf, 2, 3))) void set_err(char err[NET_ERR_BYTES], const char *fmt,
                                                          ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err, NET_ERR_BYTES, fmt, ap);
    va_end(ap);
}

/* Notes which step failed with errno, closes fd, and returns the negative errno. */
static int fail(int fd, const char *step, char err[NET_ERR_BYTES])
{
    int error = errno;
    set_err(err, "%s: %s", step, strerror(error));
    if (fd >= 0) {
        close(fd);
    }
    return -error;
}

static int enable(int fd, int level, int option)
{
    const int one = 1;
    return setsockopt(fd, level, option, &one, sizeof one);
}

static int open_listener(const struct sockaddr *sa, socklen_t len, char err[NET_ERR_BYTES])
{
    int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return fail(fd, "creating socket", err);
    }
    if (sa->sa_family == AF_INET6 && enable(fd, IPPROTO_IPV6, IPV6_V6ONLY) < 0) {
        return fail(fd, "setsockopt", err);
    }
    if (sa->sa_family != AF_UNIX && enable(fd, SOL_SOCKET, SO_REUSEADDR) < 0) {
        return fail(fd, "setsockopt SO_REUSEADDR", err);
    }
    if (bind(fd, sa, len) < 0) {
        return fail(fd, "bind", err);
    }
    return fd;
}

static int start_listening(int fd, int backlog, char err[NET_ERR_BYTES])
{
    return listen(fd, backlog) < 0 ? fail(fd, "listen", err) : fd;
}

static int resolve_error(int gai)
{
    switch (gai) {
    case EAI_SYSTEM:
        return -errno;
    case EAI_MEMORY:
        return -ENOMEM;
    case EAI_AGAIN:
        return -EAGAIN;
    case EAI_FAMILY:
    case EAI_ADDRFAMILY:
        return -EAFNOSUPPORT;
    default:
        return -EINVAL;
    }
}

int net_listen_tcp(const char *address, uint16_t port, int backlog, char err[NET_ERR_BYTES])
{
    const struct addrinfo hints = {
        .ai_family = strchr(address, ':') ? AF_INET6 : AF_INET,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = AI_PASSIVE,
    };
    const bool any = strcmp(address, "*") == 0 || strcmp(address, "::*") == 0;
    struct addrinfo *found;
    char service[8];
    int fd = -EADDRNOTAVAIL;

    err[0] = '\0';
    snprintf(service, sizeof service, "%u", (unsigned)port);
    int gai = getaddrinfo(any ? NULL : address, service, &hints, &found);
    if (gai != 0) {
        int rc = resolve_error(gai);
        set_err(err, "%s", gai_strerror(gai));
        return rc;
    }
    /* A name may have several addresses: the first that can be bound. */
    for (const struct addrinfo *ai = found; ai; ai = ai->ai_next) {
        fd = open_listener(ai->ai_addr, ai->ai_addrlen, err);
        if (fd >= 0) {
            fd = start_listening(fd, backlog, err);
            break;
        }
    }
    freeaddrinfo(found);
    return fd;
}

int net_listen_unix(const char *path, mode_t perm, int backlog, char err[NET_ERR_BYTES])
{
    union address a = {.un = {.sun_family = AF_UNIX}};
    size_t len = strlen(path);
    struct stat st;

    err[0] = '\0';
    if (len >= sizeof a.un.sun_path) {
        set_err(err, "unix socket path too long (%zu), must be under %zu", len,
                sizeof a.un.sun_path);
        return -ENAMETOOLONG;
    }
    /* Only a socket: a path given by mistake must not cost a file. */
    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode)) {
        unlink(path);
    }
    memcpy(a.un.sun_path, path, len + 1);
    int fd = open_listener(&a.sa, sizeof a.un, err);
    if (fd < 0) {
        return fd;
    }
    /* Before listen(), so that nobody connects under the umask's permissions. */
    if (perm != 0 && chmod(path, perm) < 0) {
        return fail(fd, "chmod", err);
    }
    return start_listening(fd, backlog, err);
}

static int address_of(int fd, bool local, union address *a)
{
    socklen_t len = sizeof *a;
    memset(a, 0, sizeof *a);
    return local ? getsockname(fd, &a->sa, &len) : getpeername(fd, &a->sa, &len);
}

void net_format_address(int fd, bool local, const char *unix_path, char out[NET_ADDR_BYTES])
{
    union address a;
    char ip[INET6_ADDRSTRLEN];

    if (address_of(fd, local, &a) == 0) {
        switch (a.sa.sa_family) {
        case AF_INET:
            inet_ntop(AF_INET, &a.in.sin_addr, ip, sizeof ip);
            snprintf(out, NET_ADDR_BYTES, "%s:%u", ip, (unsigned)ntohs(a.in.sin_port));
            return;
        case AF_INET6:
            inet_ntop(AF_INET6, &a.in6.sin6_addr, ip, sizeof ip);
            snprintf(out, NET_ADDR_BYTES, "[%s]:%u", ip, (unsigned)ntohs(a.in6.sin6_port));
            return;
        case AF_UNIX:
            snprintf(out, NET_ADDR_BYTES, "%s:0", unix_path ? unix_path : "/unixsocket");
            return;
        }
    }
    snprintf(out, NET_ADDR_BYTES, "?:0");
}

bool net_peer_is_loopback(int fd)
{
    union address a;

    if (address_of(fd, false, &a) != 0) {
        return false;
    }
    switch (a.sa.sa_family) {
    case AF_UNIX:
        return true;
    case AF_INET:
        return ntohl(a.in.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    case AF_INET6:
        return IN6_IS_ADDR_LOOPBACK(&a.in6.sin6_addr) ||
               (IN6_IS_ADDR_V4MAPPED(&a.in6.sin6_addr) &&
                a.in6.sin6_addr.s6_addr[12] == IN_LOOPBACKNET);
    default:
        return false;
    }
}

int net_set_nodelay(int fd)
{
    return enable(fd, IPPROTO_TCP, TCP_NODELAY) < 0 ? -errno : 0;
}

int net_set_keepalive(int fd, int interval_s)
{
    const int on = interval_s > 0, probes = KEEPALIVE_PROBES;
    const int between_s = interval_s / KEEPALIVE_PROBES > 0 ? interval_s / KEEPALIVE_PROBES : 1;

    if (setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) < 0) {
        return -errno;
    }
    if (on && (setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &interval_s, sizeof interval_s) < 0 ||
               setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &between_s, sizeof between_s) < 0 ||
               setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes) < 0)) {
        return -errno;
    }
    return 0;
}
