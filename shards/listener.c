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
    int count;
    bool started;
    char *unix_path;
    struct listener at[CONFIG_BINDS_MAX + 1];
};

static bool unavailable(int err)
{
    return err == -EADDRNOTAVAIL || err == -EAFNOSUPPORT || err == -EPROTONOSUPPORT ||
           err == -EPFNOSUPPORT;
}

static bool open_tcp(struct listeners *l, const struct config *config, int *bound_port)
{
    for (int i = 0; i < config->bind_count; i++) {
        const char *address = config->bind[i];
        bool optional = address[0] == '-';
        char err[NET_ERR_BYTES];
        address += optional;
        int fd = net_listen_tcp(address, (uint16_t)config->port, config->tcp_backlog, err);
        if (fd < 0) {
            if (optional && unavailable(fd)) {
                continue;
            }
            log_warning("Warning: Could not create server TCP listening socket %s:%d: %s", address,
                        config->port, err);
            log_warning("Failed listening on port %d (tcp), aborting.", config->port);
            return false;
        }
        l->at[l->count++].fd = fd;
        *bound_port = config->port;
    }
    return true;
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
    l->at[l->count].unix_socket = true;
    l->at[l->count++].fd = fd;
    l->unix_path = strdup(config->unixsocket);
    return true;
}

struct listeners *listeners_open(const struct config *config, int *bound_port)
{
    struct listeners *l = mem_alloc_zero(sizeof *l);
    *bound_port = 0;
    bool ok = config->port == 0 || open_tcp(l, config, bound_port);
    if (ok && config->unixsocket != NULL) {
        ok = open_unix(l, config);
    }
    if (ok && l->count == 0) {
        log_warning("Configured to not listen anywhere, exiting.");
        ok = false;
    }
    if (!ok) {
        listeners_close(l);
        return NULL;
    }
    return l;
}

void listeners_start(struct listeners *l, struct shard *shard)
{
    l->started = true;
    for (int i = 0; i < l->count; i++) {
        l->at[i].shard = shard;
        io_listen(shard->io, &l->at[i].io, l->at[i].fd);
    }
}

void listeners_close(struct listeners *l)
{
    for (int i = 0; i < l->count; i++) {
        close(l->at[i].fd);
    }
    if (l->unix_path != NULL) {
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
    if (s->config->protected_mode && s->config->requirepass == NULL && !l->unix_socket &&
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
