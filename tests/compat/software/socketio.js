/* socketio.js - Socket.IO over two server processes that know of each other through the adapter only.
 *
 *     client 0, 1 ── process 0 ──┐
 *                                redis   (Pub/Sub; Pub/Sub of shards; or a stream)
 *     client 2, 3 ── process 1 ──┘
 *
 * A process (the second half of this file) does what it is asked by messages of its parent.
 * The scenarios of each kind of adapter are the same.
 */
'use strict';
const { fork } = require('node:child_process');

const KINDS = ['classic', 'sharded', 'dynamic', 'streams'];

/* A server process; ask() calls a function of its ACTIONS. */
async function server(t, kind) {
    const child = fork(__filename, ['server', kind, t.client, String(t.port)]);
    t.later(() => child.kill('SIGKILL'));
    const waiting = new Map();
    let next = 0;
    const listening = new Promise((resolve, reject) => {
        child.on('message', (m) => (m.port ? resolve(m.port) : waiting.get(m.id)(m)));
        child.on('exit', (code) => reject(new Error(`the Socket.IO process ended with ${code}`)));
    });
    const node = { events: () => node.ask('events') };
    node.ask = (action, ...args) => new Promise((resolve, reject) => {
        const id = next++;
        waiting.set(id, (m) => (m.error ? reject(new Error(m.error)) : resolve(m.value)));
        child.send({ id, action, args });
    });
    node.port = await listening;
    return node;
}

async function start(t, kind) {
    const { io } = require('socket.io-client');
    const nodes = [await server(t, kind), await server(t, kind)];
    await t.until('the servers to see each other', async () =>
        (await Promise.all(nodes.map((n) => n.ask('serverCount')))).every((n) => n === 2), 15000);
    const clients = await Promise.all([0, 1, 2, 3].map((i) => new Promise((resolve, reject) => {
        const socket = io(`http://127.0.0.1:${nodes[i >> 1].port}`, { transports: ['websocket'], reconnection: false });
        t.later(() => socket.disconnect());
        socket.seen = [];
        socket.onAny((name, ...args) => {
            const ack = typeof args.at(-1) === 'function' ? args.pop() : null;
            socket.seen.push([name, ...args]);
            if (ack) {
                ack(`ack ${i}`);
            }
        });
        socket.on('connect', () => resolve(socket));
        socket.on('connect_error', reject);
    })));
    const join = (i, ...rooms) => clients[i].emitWithAck('join', rooms);
    /* Who has got the event, as a string of client numbers. */
    const got = (name) => clients.map((c, i) => (c.seen.some(([n]) => n === name) ? i : '')).join('');
    return { nodes, clients, join, got };
}

/* An event that everyone gets last: what came before it has arrived. Adapters keep no order across rooms,
 * so a moment is left as well. */
async function settle(t, { nodes, got }) {
    settle.count = (settle.count || 0) + 1;
    const name = `settled ${settle.count}`;
    await nodes[0].ask('emit', {}, name);
    await nodes[1].ask('emit', {}, `${name} too`);
    await t.until('the last events', () => got(name) === '0123' && got(`${name} too`) === '0123');
    await t.sleep(100);
}

async function rooms(t, kind) {
    const world = await start(t, kind);
    const { nodes, clients, join, got } = world;
    await Promise.all([join(0, 'red'), join(1, 'blue'), join(2, 'red', 'blue'), join(3, 'green')]);
    await settle(t, world);
    await nodes[0].ask('emit', {}, 'all', 1, { deep: [1, 2] });
    await nodes[0].ask('emit', { rooms: ['red'] }, 'to red', 'x');
    await nodes[1].ask('emit', { rooms: ['blue'] }, 'to blue');
    await nodes[0].ask('emit', { rooms: ['red', 'green'] }, 'to two');
    await nodes[1].ask('emit', { except: ['blue'] }, 'but blue');
    await nodes[0].ask('emit', { rooms: ['red'], except: ['blue'] }, 'red but blue');
    await nodes[1].ask('emit', { rooms: ['nobody'] }, 'to nobody');
    await nodes[0].ask('emit', { local: true }, 'local');
    await nodes[0].ask('emit', { rooms: [clients[3].id] }, 'private');
    clients[2].emit('broadcast', 'from 2');
    await t.until('the broadcast', () => got('from 2') === '013');
    await settle(t, world);
    t.assert.deepEqual(['all', 'to red', 'to blue', 'to two', 'but blue', 'red but blue', 'to nobody', 'local', 'private']
        .map((n) => got(n)), ['0123', '02', '12', '023', '03', '0', '', '01', '3']);
    t.assert.deepEqual(clients[3].seen.find(([n]) => n === 'all'), ['all', 1, { deep: [1, 2] }]);
    await clients[2].emitWithAck('leave', 'red');
    await nodes[0].ask('emit', { rooms: ['red'] }, 'again');
    await settle(t, world);
    t.assert.equal(got('again'), '0');
    /* Binary data. */
    await nodes[0].ask('emitBinary', 'bytes', [0, 255, 13, 10]);
    await t.until('bytes', () => got('bytes') === '0123');
    t.assert.deepEqual([...clients[3].seen.find(([n]) => n === 'bytes')[1]], [0, 255, 13, 10]);
}

/* Many events from both sides: each client gets each once, those of one sender in order. */
async function many(t, kind) {
    const world = await start(t, kind);
    const { nodes, clients, join } = world;
    await Promise.all([0, 1, 2, 3].map((i) => join(i, 'crowd')));
    await settle(t, world);
    await Promise.all(nodes.map((n, k) => n.ask('flood', 'crowd', `n${k}`, 500)));
    await t.until('1000 events each', () => clients.every((c) => c.seen.filter(([n]) => /^n\d$/.test(n)).length >= 1000), 20000);
    for (const c of clients) {
        for (const name of ['n0', 'n1']) {
            t.assert.deepEqual(c.seen.filter(([n]) => n === name).map(([, i]) => i), Array.from({ length: 500 }, (_, i) => i));
        }
    }
}

async function acks(t, kind) {
    const world = await start(t, kind);
    const { nodes, join } = world;
    await Promise.all([join(1, 'r'), join(2, 'r')]);
    await settle(t, world);
    t.assert.deepEqual((await nodes[0].ask('emitWithAck', {}, 'hello')).sort(), [0, 1, 2, 3].map((i) => `ack ${i}`));
    t.assert.deepEqual((await nodes[1].ask('emitWithAck', { rooms: ['r'] }, 'hello')).sort(), ['ack 1', 'ack 2']);
    t.assert.deepEqual(await nodes[0].ask('emitWithAck', { rooms: ['nobody'] }, 'hello'), []);
    const all = await Promise.all(Array.from({ length: 50 }, (_, i) => nodes[i % 2].ask('emitWithAck', {}, 'hello', i)));
    t.assert.ok(all.every((a) => a.length === 4));
}

/* Servers that talk with each other, and act on each other's sockets. */
async function servers(t, kind) {
    const world = await start(t, kind);
    const { nodes, clients, join, got } = world;
    await Promise.all([join(0, 'a'), join(2, 'a'), join(3, 'b')]);
    await settle(t, world);
    await nodes[0].ask('serverSideEmit', 'note', 'from 0', 7);
    await t.until('the note', async () => (await nodes[1].events()).some((e) => e[0] === 'note' && e[2] === 7));
    t.assert.deepEqual(await nodes[0].events(), []);
    t.assert.deepEqual(await nodes[1].ask('serverSideEmitWithAck', 'question'), ['answer']);
    const sockets = await nodes[0].ask('fetchSockets', 'a');
    t.assert.deepEqual(sockets.map((s) => s.id).sort(), [clients[0].id, clients[2].id].sort());
    t.assert.ok(sockets.every((s) => s.rooms.includes('a')));
    t.assert.equal((await nodes[1].ask('fetchSockets', '')).length, 4);
    await nodes[0].ask('socketsJoin', 'b', 'c');
    await t.until('3 to join c', async () => (await nodes[0].ask('fetchSockets', 'c')).length === 1);
    await nodes[1].ask('emit', { rooms: ['c'] }, 'to c');
    await t.until('c', () => got('to c') === '3');
    await nodes[0].ask('socketsLeave', 'b', 'c');
    await t.until('3 to leave c', async () => (await nodes[0].ask('fetchSockets', 'c')).length === 0);
    await nodes[0].ask('disconnectSockets', 'b');
    await t.until('3 to be disconnected', () => !clients[3].connected);
    t.assert.ok(clients[0].connected && clients[2].connected);
    await t.until('three to be left', async () => (await nodes[0].ask('fetchSockets', '')).length === 3);
}

/* Something that is not a Socket.IO server sends to its clients, by @socket.io/redis-emitter. */
async function emitter(t) {
    const { Emitter } = require('@socket.io/redis-emitter');
    const world = await start(t, 'classic');
    const { clients, join, got, nodes } = world;
    await Promise.all([join(0, 'a'), join(3, 'a')]);
    await settle(t, world);
    const emit = new Emitter(await t.redis());
    emit.emit('from outside', 1);
    emit.to('a').emit('to a', { x: Buffer.from([1, 2, 3]) });
    emit.except('a').emit('but a');
    await settle(t, world);
    t.assert.deepEqual([got('from outside'), got('to a'), got('but a')], ['0123', '03', '12']);
    t.assert.deepEqual([...clients[0].seen.find(([n]) => n === 'to a')[1].x], [1, 2, 3]);
    emit.serverSideEmit('note', 'outside');
    await t.until('the note', async () => (await nodes[1].events()).some((e) => e[0] === 'note'));
    emit.in('a').disconnectSockets();
    await t.until('the disconnection', () => !clients[0].connected && !clients[3].connected);
}

/* ---- the server process ---- */

async function adapter(kind, client, port) {
    const { createAdapter, createShardedAdapter } = require('@socket.io/redis-adapter');
    const make = async () => {
        if (client === 'ioredis') {
            const redis = new (require('ioredis'))({ host: '127.0.0.1', port });
            await new Promise((resolve) => redis.once('ready', resolve));
            return redis;
        }
        const redis = require('redis').createClient({ socket: { host: '127.0.0.1', port } });
        redis.on('error', () => {});
        await redis.connect();
        return redis;
    };
    const one = await make();
    switch (kind) {
        case 'streams':
            return require('@socket.io/redis-streams-adapter').createAdapter(one, { blockTimeInMs: 1000 });
        case 'sharded':
            return createShardedAdapter(one, await make(), { subscriptionMode: 'static' });
        case 'dynamic':
            return createShardedAdapter(one, await make(), { subscriptionMode: 'dynamic' });
        default:
            return createAdapter(one, await make());
    }
}

async function serverProcess(kind, client, port) {
    const { Server } = require('socket.io');
    const http = require('node:http').createServer();
    const io = new Server(http, { adapter: await adapter(kind, client, port), transports: ['websocket'] });
    const seen = [];
    io.on('connection', (socket) => {
        socket.on('join', async (names, done) => { await socket.join(names); done(); });
        socket.on('leave', async (name, done) => { await socket.leave(name); done(); });
        socket.on('broadcast', (name) => socket.broadcast.emit(name));
    });
    io.on('note', (...args) => seen.push(['note', ...args]));
    io.on('question', (answer) => answer('answer'));
    const target = ({ rooms, except, local }) => {
        let to = local ? io.local : io;
        to = rooms ? to.to(rooms) : to;
        return except ? to.except(except) : to;
    };
    const actions = {
        serverCount: () => io.of('/').adapter.serverCount(),
        emit: (to, ...args) => { target(to).emit(...args); },
        emitBinary: (name, bytes) => { io.emit(name, Buffer.from(bytes)); },
        flood: (room, name, n) => {
            for (let i = 0; i < n; i++) {
                io.to(room).emit(name, i);
            }
        },
        emitWithAck: (to, ...args) => target(to).timeout(4000).emitWithAck(...args),
        serverSideEmit: (...args) => { io.serverSideEmit(...args); },
        serverSideEmitWithAck: (...args) => io.serverSideEmitWithAck(...args),
        fetchSockets: async (room) => (await (room ? io.in(room) : io).fetchSockets())
            .map((s) => ({ id: s.id, rooms: [...s.rooms] })),
        socketsJoin: (room, other) => io.in(room).socketsJoin(other),
        socketsLeave: (room, other) => io.in(room).socketsLeave(other),
        disconnectSockets: (room) => io.in(room).disconnectSockets(true),
        events: () => seen,
    };
    process.on('message', async ({ id, action, args }) => {
        try {
            process.send({ id, value: await actions[action](...args) });
        } catch (error) {
            process.send({ id, error: String(error.stack || error) });
        }
    });
    process.on('disconnect', () => process.exit(0));
    http.listen(0, '127.0.0.1', () => process.send({ port: http.address().port }));
}

if (require.main === module) {
    serverProcess(process.argv[3], process.argv[4], Number(process.argv[5]));
}

const scenarios = { emitter };
for (const kind of KINDS) {
    for (const f of [rooms, many, acks, servers]) {
        scenarios[`${kind}-${f.name}`] = (t) => f(t, kind);
    }
}

module.exports = { scenarios, clients: ['ioredis', 'node-redis'] };
