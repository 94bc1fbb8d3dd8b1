/* Listening sockets, how addresses are printed, socket options. */
#include "io/net.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char err[NET_ERR_BYTES];

static int option(int fd, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof value;
    cr_assert_eq(getsockopt(fd, level, name, &value, &len), 0);
    return value;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_storage a;
    socklen_t len = sizeof a;
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    return ntohs(a.ss_family == AF_INET ? ((struct sockaddr_in *)&a)->sin_port
                                        : ((struct sockaddr_in6 *)&a)->sin6_port);
}

static int connect_v4(uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

Test(io_net, tcp_listener)
{
    char text[NET_ADDR_BYTES], expected[NET_ADDR_BYTES];
    int fd = net_listen_tcp("127.0.0.1", 0, 16, err);

    cr_assert_geq(fd, 0, "%s", err);
    cr_assert(fcntl(fd, F_GETFL) & O_NONBLOCK);
    cr_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    cr_assert_eq(option(fd, SOL_SOCKET, SO_REUSEADDR), 1);

    int client = connect_v4(port_of(fd));
    snprintf(expected, sizeof expected, "127.0.0.1:%u", port_of(fd));
    net_format_address(client, false, NULL, text);
    cr_assert_str_eq(text, expected);
    snprintf(expected, sizeof expected, "127.0.0.1:%u", port_of(client));
    net_format_address(client, true, NULL, text);
    cr_assert_str_eq(text, expected);
    cr_assert(net_peer_is_loopback(client));
    cr_assert(!net_peer_is_loopback(fd)); /* has no peer */
    net_format_address(fd, false, NULL, text);
    cr_assert_str_eq(text, "?:0");
    close(client);
    close(fd);
}

Test(io_net, all_addresses_and_names)
{
    int any = net_listen_tcp("*", 0, 16, err);
    cr_assert_geq(any, 0, "%s", err);
    close(connect_v4(port_of(any)));
    close(any);

    int named = net_listen_tcp("localhost", 0, 16, err);
    cr_assert_geq(named, 0, "%s", err);
    close(connect_v4(port_of(named)));
    close(named);
}

Test(io_net, ipv6)
{
    char text[NET_ADDR_BYTES], expected[NET_ADDR_BYTES];
    int fd = net_listen_tcp("::1", 0, 16, err);
    if (fd == -EADDRNOTAVAIL || fd == -EAFNOSUPPORT) {
        cr_skip_test("no IPv6 here");
    }
    cr_assert_geq(fd, 0, "%s", err);
    cr_assert_eq(option(fd, IPPROTO_IPV6, IPV6_V6ONLY), 1);
    snprintf(expected, sizeof expected, "[::1]:%u", port_of(fd));
    net_format_address(fd, true, NULL, text);
    cr_assert_str_eq(text, expected);
    close(fd);

    fd = net_listen_tcp("::*", 0, 16, err);
    cr_assert_geq(fd, 0, "%s", err);
    close(fd);
}

Test(io_net, errors_have_the_texts_that_people_know)
{
    int fd = net_listen_tcp("127.0.0.1", 0, 16, err);
    cr_assert_geq(fd, 0);
    cr_assert_eq(net_listen_tcp("127.0.0.1", port_of(fd), 16, err), -EADDRINUSE);
    cr_assert_str_eq(err, "bind: Address already in use");
    close(fd);

    cr_assert_eq(net_listen_tcp("203.0.113.7", 0, 16, err), -EADDRNOTAVAIL);
    cr_assert_str_eq(err, "bind: Cannot assign requested address");
    cr_assert_lt(net_listen_tcp("no such name", 0, 16, err), 0);
    cr_assert_str_eq(err, "Name or service not known");
    cr_assert_eq(net_listen_unix("/nowhere/at/all", 0, 16, err), -ENOENT);
    cr_assert_str_eq(err, "bind: No such file or directory");

    char path[200];
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    cr_assert_eq(net_listen_unix(path, 0, 16, err), -ENAMETOOLONG);
    cr_assert_str_eq(err, "unix socket path too long (199), must be under 108");
}

Test(io_net, unix_listener)
{
    char dir[] = "/tmp/ashlar-net-XXXXXX", path[64], text[NET_ADDR_BYTES];
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct stat st;

    cr_assert_not_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/s", dir);
    int fd = net_listen_unix(path, 0, 16, err);
    cr_assert_geq(fd, 0, "%s", err);
    close(fd);
    fd = net_listen_unix(path, 0700, 16, err); /* over the old one */
    cr_assert_geq(fd, 0, "%s", err);
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0700);

    int client = socket(AF_UNIX, SOCK_STREAM, 0);
    strcpy(a.sun_path, path);
    cr_assert_eq(connect(client, (struct sockaddr *)&a, sizeof a), 0);
    net_format_address(client, false, path, text);
    char expected[80];
    snprintf(expected, sizeof expected, "%s:0", path);
    cr_assert_str_eq(text, expected);
    cr_assert(net_peer_is_loopback(client));
    close(client);
    close(fd);
    unlink(path);

    /* A file that is not a socket stays. */
    int file = open(path, O_CREAT | O_WRONLY, 0600);
    cr_assert_eq(net_listen_unix(path, 0, 16, err), -EADDRINUSE);
    close(file);
    cr_assert_eq(unlink(path), 0);
    rmdir(dir);
}

Test(io_net, options)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(net_set_nodelay(fd), 0);
    cr_assert_eq(option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
    cr_assert_eq(net_set_keepalive(fd, 300), 0);
    cr_assert_eq(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    cr_assert_eq(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 300);
    cr_assert_eq(option(fd, IPPROTO_TCP, TCP_KEEPINTVL), 100);
    cr_assert_eq(option(fd, IPPROTO_TCP, TCP_KEEPCNT), 3);
    cr_assert_eq(net_set_keepalive(fd, 1), 0);
    cr_assert_eq(option(fd, IPPROTO_TCP, TCP_KEEPINTVL), 1);
    cr_assert_eq(net_set_keepalive(fd, 0), 0);
    cr_assert_eq(option(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
    close(fd);
    cr_assert_eq(net_set_nodelay(fd), -EBADF);
}
