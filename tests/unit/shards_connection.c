/* PING, AUTH, HELLO, CLIENT …: the commands on connections that are not connected to anything. The
 * runtime around them is replaced by a few lines: a broadcast runs its parts at once. */
#include "core/mem.h"
#include "proto/reply.h"
#include "shards/blocked.h"
#include "shards/clock.h"
#include "shards/commands.h"
#include "shards/monitor.h"
#include "shards/multi.h"
#include "shards/tracking.h"
#include "shards/watch.h"
#include "shards/shard.h"
#include "shards/subscribe.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { SHARDS = 3, CONNS = 5, ARGS_MAX = 32 };

static struct config config;
static struct server server;
static struct shard shards[SHARDS];
static struct conn conns[CONNS];
static bool closed[CONNS], closed_after_reply[CONNS];
static unsigned pause_notes;
static struct reply out;

/* --- stand-ins; weak, so that they match the declarations and the real ones are not linked --- */

#define STAND_IN __attribute__((weak))

STAND_IN const struct command string_commands[] = {{0}};
STAND_IN const struct command generic_commands[] = {{0}};
STAND_IN const struct command config_commands[] = {{0}};
STAND_IN const struct command server_commands[] = {{0}};
STAND_IN const struct command pubsub_commands[] = {{0}};
STAND_IN const struct command cluster_commands[] = {{0}};
STAND_IN const struct command replication_commands[] = {{0}};
STAND_IN const struct command multi_commands[] = {{0}};
STAND_IN const struct command eval_commands[] = {{0}};
STAND_IN const struct command script_commands[] = {{0}};
STAND_IN const struct command function_commands[] = {{0}};

static int64_t fixed_unix_us(void)
{
    return 1000000000;
}

static uint64_t fixed_mono_ns(void)
{
    return 100u * 1000000000ull;
}

STAND_IN struct clock_source clock_source = {fixed_mono_ns, fixed_unix_us};

STAND_IN void conn_close(struct conn *conn, bool after_reply)
{
    conn->flags |= after_reply ? CONN_CLOSE_AFTER_REPLY : CONN_CLOSING;
    closed[conn - conns] = true;
    closed_after_reply[conn - conns] = after_reply;
}

/* Connection 3 waits for data until it is unblocked. */
static bool waiting = true;

STAND_IN bool blocked_waits(const struct conn *conn)
{
    return conn == &conns[2] && waiting && conn->flags & CONN_STALLED;
}

STAND_IN bool blocked_cancel(struct conn *conn, enum wait_state why)
{
    bool was = conn == &conns[2] && waiting;
    cr_assert(why == WAIT_UNBLOCKED || why == WAIT_ERROR);
    waiting = waiting && !was;
    return was;
}

STAND_IN struct conn *conn_by_id(const struct shard *shard, uint64_t id)
{
    return id >= 1 && id <= CONNS && conns[id - 1].shard == shard ? &conns[id - 1] : NULL;
}

STAND_IN bool conn_authenticated(const struct conn *conn)
{
    return conn->authenticated || conn->shard->config->requirepass.ptr == NULL;
}

STAND_IN bool conn_subscribed(const struct conn *conn)
{
    return false;
}

STAND_IN uint32_t conn_subscriptions(const struct conn *conn, enum subscription_kind kind)
{
    return 0;
}

STAND_IN size_t conn_query_bytes(const struct conn *conn)
{
    return 7;
}

STAND_IN size_t conn_memory(const struct conn *conn)
{
    return 4711;
}

STAND_IN enum client_class conn_class(const struct conn *conn)
{
    return conn == &conns[4] ? CLIENT_PUBSUB : CLIENT_NORMAL;
}

STAND_IN void tracking_stop(struct conn *conn)
{
}

STAND_IN void tracking__tracking(struct call *c)
{
}

STAND_IN void tracking__caching(struct call *c)
{
}

STAND_IN void tracking__info(struct call *c)
{
}

STAND_IN void tracking__getredir(struct call *c)
{
}

STAND_IN void multi_discard(struct conn *conn)
{
}

STAND_IN size_t multi_memory(const struct conn *conn)
{
    return 0;
}

STAND_IN bool watch_dirty(const struct conn *conn)
{
    return false;
}

STAND_IN uint32_t watch_count(const struct conn *conn)
{
    return 0;
}

STAND_IN void monitor_stop(struct conn *conn)
{
    conn->flags &= ~(uint32_t)CONN_MONITOR;
}

STAND_IN void conn_pause_changed(struct shard *shard)
{
    pause_notes++;
}

STAND_IN void broadcast(struct call *c, broadcast_part *part, broadcast_done *done, void *ctx)
{
    for (int i = SHARDS - 1; i >= 0; i--) {
        part(&shards[i], ctx);
    }
    c->argv = NULL; /* the arguments are not to be used any more */
    done(c, ctx);
}

/* --- helpers --- */

static const char *taken(void)
{
    static char text[16384];
    size_t len = 0;
    for (const struct reply_chunk *chunk = out.head; chunk != NULL; chunk = chunk->next) {
        cr_assert_lt(len + chunk->len, sizeof(text));
        memcpy(text + len, chunk->data, chunk->len);
        len += chunk->len;
    }
    text[len] = '\0';
    reply_clear(&out);
    return text;
}

/* What the connection gets for this line; words are parted by blanks. */
static const char *run_on(struct conn *conn, const char *line)
{
    struct slice argv[ARGS_MAX];
    uint32_t argc = 0;
    while (*line != '\0') {
        size_t len = strcspn(line, " ");
        argv[argc++] = slice_of(line, len);
        line += len + (line[len] == ' ');
    }
    out.resp = conn->resp;
    out.muted = conn->reply_mode == CONN_REPLY_OFF;
    const struct command *cmd = commands_resolve(argv, argc, &out);
    if (cmd != NULL) {
        conn->last_command = cmd;
        struct call c = {.command = cmd, .argv = argv, .argc = argc, .out = &out, .host = conn};
        cmd->run(&c);
    }
    return taken();
}

static const char *run(const char *line)
{
    return run_on(&conns[0], line);
}

#define expect(line, reply) cr_assert_str_eq(run(line), reply, "%s", line)

static void setup(void)
{
    reply_init(&out, 2);
    commands_init();
    config.core.databases = 16;
    server.shard_count = SHARDS;
    for (unsigned i = 0; i < SHARDS; i++) {
        shards[i].server = &server;
        shards[i].id = i;
        shards[i].config = &config;
        shards[i].now_ns = fixed_mono_ns();
        server.shards[i] = &shards[i];
    }
    for (unsigned i = 0; i < CONNS; i++) { /* 0, 2, 4 on shard 0; 1, 3 on shard 1; none on 2 */
        struct conn *conn = &conns[i];
        struct shard *shard = &shards[i % 2];
        conn->shard = shard;
        conn->id = i + 1;
        conn->resp = 2;
        conn->sock.fd = 10 + (int)i;
        conn->created_ns = (90u + i) * 1000000000ull;
        conn->active_ns = 98u * 1000000000ull;
        snprintf(conn->addr, sizeof(conn->addr), "127.0.0.1:%u", 5000 + i);
        snprintf(conn->laddr, sizeof(conn->laddr), "127.0.0.1:6379");
        reply_init(&conn->out, 2);
        conn->prev = shard->conns_last;
        *(shard->conns_last != NULL ? &shard->conns_last->next : &shard->conns) = conn;
        shard->conns_last = conn;
    }
}

static void teardown(void)
{
    for (unsigned i = 0; i < CONNS; i++) {
        mem_free(conns[i].name);
        mem_free(conns[i].lib_name);
        mem_free(conns[i].lib_ver);
    }
}

TestSuite(connection, .init = setup, .fini = teardown);

Test(connection, simple)
{
    expect("ping", "+PONG\r\n");
    expect("PING hi", "$2\r\nhi\r\n");
    expect("ping a b", "-ERR wrong number of arguments for 'ping' command\r\n");
    expect("echo x", "$1\r\nx\r\n");
    cr_assert_str_eq(run_on(&conns[4], "ping"), "*2\r\n$4\r\npong\r\n$0\r\n\r\n");
    conns[4].resp = 3;
    cr_assert_str_eq(run_on(&conns[4], "ping"), "+PONG\r\n");
}

Test(connection, select)
{
    expect("select 15", "+OK\r\n");
    cr_assert_eq(conns[0].db, 15);
    expect("select 16", "-ERR DB index is out of range\r\n");
    expect("select -1", "-ERR DB index is out of range\r\n");
    expect("select x", "-ERR value is not an integer or out of range\r\n");
    expect("select 4294967296", "-ERR value is out of range, value must between -2147483648 and "
                                "2147483647\r\n");
    cr_assert_eq(conns[0].db, 15);
}

#define WRONG_PASSWORD "-WRONGPASS invalid username-password pair or user is disabled.\r\n"

Test(connection, auth)
{
    expect("auth x", "-ERR AUTH <password> called without any password configured for the default "
                     "user. Are you sure your configuration is correct?\r\n");
    expect("auth default whatever", "+OK\r\n");
    conns[0].authenticated = false;
    config.requirepass = slice_str("secret");
    expect("auth secre", WRONG_PASSWORD);
    expect("auth secrets", WRONG_PASSWORD);
    expect("auth other secret", WRONG_PASSWORD);
    expect("auth a b c", "-ERR syntax error\r\n");
    cr_assert_not(conns[0].authenticated);
    expect("auth secret", "+OK\r\n");
    cr_assert(conns[0].authenticated);
    expect("auth default nope", WRONG_PASSWORD);
    cr_assert(conns[0].authenticated);
}

Test(connection, hello)
{
    static const char resp3[] = "%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n"
                                "$7\r\nversion\r\n$5\r\n7.4.0\r\n$5\r\nproto\r\n:3\r\n$2\r\nid\r\n:1\r\n$4\r\nmode\r\n"
                                "$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"
                                "$7\r\nmodules\r\n*0\r\n";
    expect("hello 3", resp3);
    cr_assert_eq(conns[0].resp, 3);
    expect("hello", resp3);
    expect("hello 4", "-NOPROTO unsupported protocol version\r\n");
    expect("hello x", "-ERR Protocol version is not an integer or out of range\r\n");
    expect("hello 2 foo", "-ERR Syntax error in HELLO option 'foo'\r\n");
    expect("hello 2 auth x", "-ERR Syntax error in HELLO option 'auth'\r\n");
    cr_assert_eq(conns[0].resp, 3);

    config.requirepass = slice_str("secret");
    expect("hello 2 setname me",
           "-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO "
           "<proto> AUTH <user> <pass> option can be used to authenticate the client and select the "
           "RESP protocol version at the same time\r\n");
    cr_assert_null(conns[0].name);
    expect("hello 2 auth default no", WRONG_PASSWORD);
    expect("hello 3 AUTH default secret SETNAME me", resp3);
    expect("client getname", "$2\r\nme\r\n");
}

Test(connection, quit_and_reset)
{
    expect("hello 3 setname me",
           "%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.4.0\r\n"
           "$5\r\nproto\r\n:3\r\n$2\r\nid\r\n:1\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n"
           "$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n");
    run("select 3");
    run("client setinfo lib-name lib");
    conns[0].flags |= CONN_MONITOR;
    run("client reply off");
    expect("reset", "+RESET\r\n");
    cr_assert_eq(conns[0].resp, 2);
    cr_assert_eq(conns[0].db, 0);
    cr_assert_eq(conns[0].flags, 0);
    cr_assert_eq(conns[0].reply_mode, CONN_REPLY_ON);
    cr_assert_null(conns[0].name);
    cr_assert_str_eq(conns[0].lib_name, "lib");
    expect("quit", "+OK\r\n");
    cr_assert(closed[0] && closed_after_reply[0]);
}

Test(connection, names)
{
    expect("client getname", "$-1\r\n");
    expect("client setname a\nb",
           "-ERR Client names cannot contain spaces, newlines or special characters.\r\n");
    expect("client setname joe", "+OK\r\n");
    expect("client getname", "$3\r\njoe\r\n");
    expect("client setname ", "-ERR wrong number of arguments for 'client|setname' command\r\n");
    expect("client setinfo LIB-VER 1.2", "+OK\r\n");
    cr_assert_str_eq(conns[0].lib_ver, "1.2");
    expect("client setinfo lib-foo x", "-ERR Unrecognized option 'lib-foo'\r\n");
    expect("client setinfo lib-ver \x80",
           "-ERR lib-ver cannot contain spaces, newlines or special characters.\r\n");

    struct slice argv[] = {slice_str("client"), slice_str("setname"), slice_of("", 0)};
    struct call c = {.argv = argv, .argc = 3, .out = &out, .host = &conns[0]};
    commands_resolve(argv, 3, &out)->run(&c);
    cr_assert_str_eq(taken(), "+OK\r\n");
    cr_assert_null(conns[0].name);
}

Test(connection, switches)
{
    expect("client id", ":1\r\n");
    expect("client no-evict on", "+OK\r\n");
    expect("client no-touch ON", "+OK\r\n");
    cr_assert_eq(conns[0].flags, CONN_NO_EVICT | CONN_NO_TOUCH);
    expect("client no-touch off", "+OK\r\n");
    cr_assert_eq(conns[0].flags, CONN_NO_EVICT);
    expect("client no-evict maybe", "-ERR syntax error\r\n");
    expect("client unblock 7", ":0\r\n");
    expect("client unblock 7 error", ":0\r\n");
    expect("client unblock 1", ":0\r\n");
    expect("client unblock 3 error", ":1\r\n");
    expect("client unblock 3", ":0\r\n");
    expect("client unblock 7 foo", "-ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR\r\n");
    expect("client unblock x", "-ERR value is not an integer or out of range\r\n");
    expect("client unblock 7 error x", "-ERR unknown subcommand or wrong number of arguments for "
                                       "'unblock'. Try CLIENT HELP.\r\n");
}

Test(connection, reply_modes)
{
    expect("client reply skip", "");
    cr_assert_eq(conns[0].reply_mode, CONN_REPLY_SKIP_NEXT);
    expect("client reply off", "");
    cr_assert_eq(conns[0].reply_mode, CONN_REPLY_OFF);
    expect("client reply skip", "");
    cr_assert_eq(conns[0].reply_mode, CONN_REPLY_OFF);
    expect("ping", "");
    expect("client reply on", "+OK\r\n");
    expect("ping", "+PONG\r\n");
    expect("client reply x", "-ERR syntax error\r\n");
}

#define LINE(id, port, fd, age, name, flags, cmd) \
    "id=" #id " addr=127.0.0.1:" #port " laddr=127.0.0.1:6379 fd=" #fd " name=" name " age=" #age \
    " idle=2 flags=" flags " db=0 sub=0 psub=0 ssub=0 multi=-1 watch=0 qbuf=7 qbuf-free=0" \
    " argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem=0 tot-mem=4711 events=r cmd=" cmd \
    " user=default redir=-1 resp=2 lib-name= lib-ver=\n"
#define LINE1 LINE(1, 5000, 10, 10, "joe", "N", "client|list")
#define LINE2 LINE(2, 5001, 11, 9, "", "N", "NULL")
#define LINE3 LINE(3, 5002, 12, 8, "", "U", "NULL")
#define LINE4 LINE(4, 5003, 13, 7, "", "eT", "NULL")
#define LINE5 LINE(5, 5004, 14, 6, "", "N", "NULL")

/* The text of a bulk string. */
static const char *body(const char *reply)
{
    const char *end = strstr(reply, "\r\n");
    cr_assert(reply[0] == '$' && end != NULL);
    cr_assert_eq((size_t)atoi(reply + 1), strlen(end) - 4);
    static char text[16384];
    snprintf(text, sizeof(text), "%.*s", (int)strlen(end) - 4, end + 2);
    return text;
}

Test(connection, list)
{
    conns[2].flags = CONN_UNIX;
    conns[3].flags = CONN_NO_EVICT | CONN_NO_TOUCH;
    run("client setname joe");
    cr_assert_str_eq(body(run("client list")), LINE1 LINE2 LINE3 LINE4 LINE5);
    cr_assert_str_eq(body(run("client list type normal")), LINE1 LINE2 LINE3 LINE4);
    cr_assert_str_eq(body(run("client list type pubsub")), LINE5);
    cr_assert_str_eq(run("client list type master"), "$0\r\n\r\n");
    cr_assert_str_eq(run("client list type slave"), "$0\r\n\r\n");
    cr_assert_str_eq(body(run("client list id 4 99 1 4")), LINE4 LINE1 LINE4);
    expect("client list id 1 x", "-ERR Invalid client ID\r\n");
    expect("client list type x", "-ERR Unknown client type 'x'\r\n");
    expect("client list type", "-ERR syntax error\r\n");
    expect("client list id", "-ERR syntax error\r\n");
    cr_assert_str_eq(body(run_on(&conns[1], "client info")),
                     LINE(2, 5001, 11, 9, "", "N", "client|info"));
    conns[1].resp = 3;
    cr_assert(strncmp(run_on(&conns[1], "client list type master"), "=4\r\ntxt:\r\n", 10) == 0);
}

Test(connection, kill)
{
    expect("client kill 127.0.0.1:1", "-ERR No such client\r\n");
    expect("client kill 127.0.0.1:5001", "+OK\r\n");
    cr_assert(closed[1] && !closed_after_reply[1]);
    expect("client kill 127.0.0.1:5001", "-ERR No such client\r\n");
    expect("client kill id 3 skipme yes", ":1\r\n");
    cr_assert(closed[2]);
    expect("client kill id 1", ":0\r\n"); /* oneself is spared */
}

Test(connection, kill_filters)
{
    expect("client kill id 0 skipme no", "-ERR client-id should be greater than 0\r\n");
    expect("client kill id x skipme no", "-ERR client-id should be greater than 0\r\n");
    expect("client kill skipme x", "-ERR syntax error\r\n");
    expect("client kill id 3 skipme", "-ERR syntax error\r\n");
    expect("client kill user joe", "-ERR No such user 'joe'\r\n");
    expect("client kill type x", "-ERR Unknown client type 'x'\r\n");
    expect("client kill maxage x", "-ERR maxage is not an integer or out of range\r\n");
    expect("client kill maxage 0", "-ERR maxage should be greater than 0\r\n");
    expect("client kill type pubsub laddr 127.0.0.1:6379", ":1\r\n");
    cr_assert(closed[4]);
    expect("client kill addr 127.0.0.1:5001 addr 127.0.0.1:5003", ":1\r\n"); /* the last counts */
    cr_assert(closed[3] && !closed[1]);
    expect("client kill maxage 9", ":1\r\n"); /* ages are 10 (spared), 9, 8 */
    cr_assert(closed[1] && !closed[2] && !closed[0]);
    expect("client kill user default skipme no", ":2\r\n");
    cr_assert(closed[2] && closed[0] && closed_after_reply[0]);
}

Test(connection, kill_self)
{
    expect("client kill 127.0.0.1:5000", "+OK\r\n");
    cr_assert(closed[0] && closed_after_reply[0]);
}

Test(connection, pause)
{
    expect("client pause x", "-ERR timeout is not an integer or out of range\r\n");
    expect("client pause -1", "-ERR timeout is negative\r\n");
    expect("client pause 9223372036854775807", "-ERR timeout is out of range\r\n");
    expect("client pause 100 foo", "-ERR CLIENT PAUSE mode must be WRITE or ALL\r\n");
    cr_assert_eq(pause_notes, 0);
    expect("client pause 100 write", "+OK\r\n");
    cr_assert_eq(pause_notes, SHARDS);
    cr_assert_eq(atomic_load(&server.pause_until_ms), 1000100);
    cr_assert(atomic_load(&server.pause_writes_only));
    expect("client pause 50", "+OK\r\n"); /* stricter, not shorter */
    cr_assert_eq(atomic_load(&server.pause_until_ms), 1000100);
    cr_assert_not(atomic_load(&server.pause_writes_only));
    expect("client pause 200 WRITE", "+OK\r\n"); /* longer, not milder */
    cr_assert_eq(atomic_load(&server.pause_until_ms), 1000200);
    cr_assert_not(atomic_load(&server.pause_writes_only));
    expect("client unpause", "+OK\r\n");
    cr_assert_eq(atomic_load(&server.pause_until_ms), 0);
    expect("client pause 10 write", "+OK\r\n");
    cr_assert(atomic_load(&server.pause_writes_only));
}
