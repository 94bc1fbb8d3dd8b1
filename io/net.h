/* net.h - addresses and listening sockets. Blocking calls only at start-up and for names.
 * Any thread. Errors are negative errno; text for people is written into err. */
#ifndef ASHLAR_IO_NET_H
#define ASHLAR_IO_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { NET_ERR_BYTES = 256, NET_ADDR_BYTES = 128 };

/* A non-blocking TCP listener with SO_REUSEADDR; address "*" is all of IPv4, "::*" all of IPv6
 * (V6ONLY). Port 0 lets the kernel choose. Returns the fd or a negative errno. */
int net_listen_tcp(const char *address, uint16_t port, int backlog, char err[NET_ERR_BYTES]);
/* A unix socket; an old socket file at path is unlinked first. perm 0: as umask has it. */
int net_listen_unix(const char *path, mode_t perm, int backlog, char err[NET_ERR_BYTES]);
/* "ip:port", "[v6]:port" as Redis prints ("127.0.0.1:6379", "::1:6379" in brackets: "[::1]:6379"),
 * or "path:0" for unix sockets. local selects getsockname(). */
void net_format_address(int fd, bool local, const char *unix_path, char out[NET_ADDR_BYTES]);
/* True for a TCP peer on a loopback address, and for unix sockets. */
bool net_peer_is_loopback(int fd);
int net_set_nodelay(int fd);
/* TCP keep-alive with this interval, as Redis sets it (interval, interval/3, 3 probes); 0 turns it off. */
int net_set_keepalive(int fd, int interval_s);

#endif
