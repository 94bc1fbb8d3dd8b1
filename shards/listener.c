/* listener.c - the acceptor (see listener.h). */
#include "shards/listener.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct listener {
    struct io_listener io; /* first: handlers cast */
    int fd;
    bool unix_socket;
    struct shard *shard;
};

struct listeners {
    struct listener tcp[CONFIG_BINDS_MAX];
    int tcp_count;
    struct listener unix_;
    char *unix_path; /* NULL: no unix socket */
};

/* Sockets that are bound and not in use yet. */
struct sockets {
    int fd[CONFIG_BINDS_MAX];
    int count;
};

static bool unavailable(int err)
{
    return err == -EADDRNOTAVAIL || err == -EAFNOSUPPORT || err == -EPROTONOSUPPORT ||
           err == -EPFNOSUPPORT;
}

/* All of the configuration's addresses, or none and false. */
static bool open_tcp(const struct config *config, struct sockets *out)
{
    out->count = 0;
    for (int i = 0; config->port != 0 && i < config->bind_count; i++) {
        const char *address = config->bind[i];
        bool optional = address[0] == '-';
        char err[NET_ERR_BYTES];
        address += optional;
        int fd = net_listen_tcp(address, (uint16_t)config->port, config->tcp_backlog, err);
        if (fd >= 0) {
            out->fd[out->count++] = fd;
        } else if (!optional || !unavailable(fd)) {
            log_warning("Warning: Could not create server TCP listening socket %s:%d: %s", address,
                        config->port, err);
            while (out->count > 0) {
                close(out->fd[--out->count]);
            }
            return false;
        }
    }
    return true;
}

static void use_tcp(struct listeners *l, struct server *server, const struct config *config,
                    const struct sockets *sockets)
{
    l->tcp_count = sockets->count;
    for (int i = 0; i < sockets->count; i++) {
        l->tcp[i] = (struct listener){.fd = sockets->fd[i]};
    }
    server->listen_port = sockets->count > 0 ? config->port : 0;
}

static bool open_unix(struct listeners *l, const struct config *config)
{
    char err[NET_ERR_BYTES];
    int fd = net_listen_unix(config->unixsocket, (mode_t)config->unixsocketperm,
                             config->tcp_backlog, err);
    if (fd < 0) {
        log_warning("Failed opening Unix socket: %s: %s", config->unixsocket, err);
        return false;
    }
    l->unix_ = (struct listener){.fd = fd, .unix_socket = true};
    l->unix_path = strdup(config->unixsocket);
    return true;
}

struct listeners *listeners_open(const struct config *config, struct server *server)
{
    struct listeners *l = mem_alloc_zero(sizeof *l);
    struct sockets tcp;
    bool ok = open_tcp(config, &tcp);
    if (ok) {
        use_tcp(l, server, config, &tcp);
        ok = config->unixsocket == NULL || open_unix(l, config);
    } else {
        log_warning("Failed listening on port %d (tcp), aborting.", config->port);
    }
    if (ok && l->tcp_count == 0 && l->unix_path == NULL) {
        log_warning("Configured to not listen anywhere, exiting.");
        ok = false;
    }
    if (!ok) {
        listeners_close(l);
        return NULL;
    }
    return l;
}

static void start(struct listener *l, struct shard *shard)
{
    l->shard = shard;
    int rc = io_listen(shard->io, &l->io, l->fd);
    if (rc < 0) {
        log_warning("Could not accept connections on a listening socket: %s", strerror(-rc));
    }
}

static void start_tcp(struct listeners *l, struct shard *shard)
{
    for (int i = 0; i < l->tcp_count; i++) {
        start(&l->tcp[i], shard);
    }
}

void listeners_start(struct listeners *l, struct shard *shard)
{
    start_tcp(l, shard);
    if (l->unix_path != NULL) {
        start(&l->unix_, shard);
    }
}

/* The kernel may hold on to a socket until it has heard that accepting is over, so closing alone
 * would leave it open to clients for a moment. */
static void stop_tcp(struct listeners *l, struct shard *shard)
{
    for (int i = 0; i < l->tcp_count; i++) {
        io_unlisten(shard->io, &l->tcp[i].io);
        shutdown(l->tcp[i].fd, SHUT_RDWR);
        close(l->tcp[i].fd);
    }
    l->tcp_count = 0;
}

bool listeners_change(struct listeners *l, struct shard *shard, const struct config *old,
                      const struct config *fresh)
{
    /* On another port both sets can exist at once; on the same one they are in each other's way. */
    const bool at_once = old->port != fresh->port;
    struct sockets tcp;
    if (!at_once) {
        stop_tcp(l, shard);
    }
    bool ok = open_tcp(fresh, &tcp);
    if (at_once && ok) {
        stop_tcp(l, shard);
    }
    if (ok) {
        use_tcp(l, shard->server, fresh, &tcp);
        start_tcp(l, shard);
    } else if (!at_once && open_tcp(old, &tcp)) {
        use_tcp(l, shard->server, old, &tcp);
        start_tcp(l, shard);
    }
    return ok;
}

void listeners_close(struct listeners *l)
{
    for (int i = 0; i < l->tcp_count; i++) {
        shutdown(l->tcp[i].fd, SHUT_RDWR); /* as in stop_tcp(): the ring outlives the process a bit */
        close(l->tcp[i].fd);
    }
    if (l->unix_path != NULL) {
        shutdown(l->unix_.fd, SHUT_RDWR);
        close(l->unix_.fd);
        unlink(l->unix_path);
        free(l->unix_path);
    }
    mem_free(l);
}

/* --- accepting ------------------------------------------------------------------------------- */

static void refuse(struct shard *s, int fd, const char *text)
{
    ssize_t n = send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)n; /* best effort, as the client may be gone */
    close(fd);
    atomic_fetch_add_explicit(&s->server->rejected_connections, 1, memory_order_relaxed);
}

static unsigned least_loaded(struct server *server)
{
    unsigned best = 0;
    int64_t fewest = INT64_MAX;
    for (unsigned i = 0; i < server->shard_count; i++) {
        int64_t n = atomic_load_explicit(&server->shard_clients[i], memory_order_relaxed);
        if (n < fewest) {
            fewest = n;
            best = i;
        }
    }
    return best;
}

/* ctx: fd * 2 + (unix socket). */
static void arrive(struct shard *s, void *ctx)
{
    intptr_t packed = (intptr_t)ctx;
    conn_accept(s, (int)(packed >> 1), packed & 1);
}

void listener_accepted(struct io_listener *io, int fd)
{
    struct listener *l = (struct listener *)io;
    struct shard *s = l->shard;
    struct server *server = s->server;
    if (fd < 0) {
        log_warning("Accepting client connection: %s", strerror(-fd));
        return;
    }
    atomic_fetch_add_explicit(&server->connections, 1, memory_order_relaxed);
    if (atomic_load_explicit(&server->clients, memory_order_relaxed) >= s->config->maxclients) {
        refuse(s, fd, "-ERR max number of clients reached\r\n");
        return;
    }
    if (s->config->protected_mode && s->config->requirepass.ptr == NULL && !l->unix_socket &&
        !net_peer_is_loopback(fd)) {
        refuse(s, fd,
               "-DENIED Ashlar is running in protected mode because protected mode is enabled and "
               "no password is set for the default user. In this mode connections are only "
               "accepted from the loopback interface. To connect from other hosts, set a password "
               "(requirepass), or turn protected mode off (protected-mode no) if the network is "
               "trusted, then restart the server.\r\n");
        return;
    }
    unsigned home = least_loaded(server);
    atomic_fetch_add_explicit(&server->clients, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&server->shard_clients[home], 1, memory_order_relaxed);
    intptr_t packed = (intptr_t)fd * 2 + l->unix_socket;
    if (home == s->id) {
        arrive(s, (void *)packed);
    } else {
        shard_note(s, server->shards[home], arrive, (void *)packed);
    }
}
