/* clients.js - what ioredis and node-redis build themselves on transactions, scripts, blocking commands
 * and Pub/Sub: auto-pipelining, custom commands, isolated transactions, iterators, client-side caching.
 */
'use strict';

/* Both libraries: a raw command. */
const raw = (t, redis, ...args) => (t.client === 'ioredis' ? redis.call(...args) : redis.sendCommand(args.map(String)));

const scenarios = {
    /* Optimistic transfers between accounts on any shards: what is there stays the same. */
    async watch(t) {
        const names = Array.from({ length: 8 }, (_, i) => `account ${i}`);
        const admin = await t.redis();
        for (const n of names) {
            await raw(t, admin, 'SET', n, 100);
        }
        let aborted = 0;
        let running = true;
        const reader = (async () => {
            const redis = await t.redis();
            while (running) {
                const sum = (await raw(t, redis, 'MGET', ...names)).reduce((a, b) => a + Number(b), 0);
                t.assert.equal(sum, 800);
            }
        })();
        await Promise.all(Array.from({ length: 6 }, async (_, k) => {
            const redis = await t.redis();
            for (let i = 0; i < 60;) {
                const from = names[(k + i) % 8];
                const to = names[(k * 3 + i * 5 + 1) % 8];
                if (from === to) {
                    i++;
                    continue;
                }
                await redis.watch([from, to]);
                const [a, b] = (await raw(t, redis, 'MGET', from, to)).map(Number);
                const tx = redis.multi();
                if (t.client === 'ioredis') {
                    tx.set(from, a - 1).set(to, b + 1);
                    if (await tx.exec()) { i++; } else { aborted++; }
                } else {
                    await tx.set(from, a - 1).set(to, b + 1).exec().then(() => i++, (e) => {
                        t.assert.equal(e.name, 'Error');
                        t.assert.match(String(e.constructor.name), /WatchError/);
                        aborted++;
                    });
                }
            }
        }));
        running = false;
        await reader;
        t.assert.ok(aborted >= 0);
    },

    /* Producers and consumers over lists and a sorted set: each element once. */
    async queues(t) {
        const total = 400;
        const got = [];
        const consumers = Array.from({ length: 6 }, async (_, k) => {
            const redis = await t.redis();
            for (;;) {
                const reply = k % 2 ? await raw(t, redis, 'BLPOP', 'q1', 'q2', 'q3', 20)
                    : await raw(t, redis, 'BRPOP', 'q3', 'q1', 'q2', 20);
                if (reply[1] === 'end') {
                    return;
                }
                got.push(reply[1]);
            }
        });
        const producer = await t.redis();
        for (let i = 0; i < total; i += 4) {
            const tx = producer.multi();
            const push = (t.client === 'ioredis' ? tx.rpush : tx.rPush).bind(tx);
            push('q1', [`${i}`, `${i + 1}`]);
            push('q2', `${i + 2}`);
            push('q3', `${i + 3}`);
            await tx.exec();
        }
        await t.until('all elements', () => got.length === total);
        await Promise.all(Array.from({ length: 6 }, () => raw(t, producer, 'RPUSH', 'q1', 'end')));
        await Promise.all(consumers);
        t.assert.deepEqual(got.map(Number).sort((a, b) => a - b), Array.from({ length: total }, (_, i) => i));
    },

    /* A consumer group of three, one of which leaves its entries to the others. */
    async streamGroup(t) {
        const admin = await t.redis();
        await raw(t, admin, 'XGROUP', 'CREATE', 's', 'g', '$', 'MKSTREAM');
        const seen = new Map();
        let stop = false;
        const consumers = [0, 1, 2].map(async (k) => {
            const redis = await t.redis();
            for (let n = 0; !stop; n++) {
                const reply = await raw(t, redis, 'XREADGROUP', 'GROUP', 'g', `c${k}`, 'COUNT', 7, 'BLOCK', 200,
                    'STREAMS', 's', '>');
                for (const [id] of reply ? reply[0][1] : []) {
                    seen.set(id, (seen.get(id) || 0) + 1);
                    if (k !== 0 || n > 1) {
                        await raw(t, redis, 'XACK', 's', 'g', id);
                    }
                }
            }
        });
        await Promise.all(Array.from({ length: 300 }, (_, i) => raw(t, admin, 'XADD', 's', '*', 'i', i)));
        await t.until('all entries', () => seen.size === 300);
        stop = true;
        await Promise.all(consumers);
        t.assert.ok([...seen.values()].every((n) => n === 1));
        const [, claimed] = await raw(t, admin, 'XAUTOCLAIM', 's', 'g', 'c9', 0, '0', 'COUNT', 100);
        t.assert.equal((await raw(t, admin, 'XPENDING', 's', 'g'))[0], claimed.length);
    },

    /* Subscriptions of every kind, and that none is told of what it did not ask for. */
    async pubsub(t) {
        const sub = await t.redis();
        const pub = await t.redis();
        const seen = [];
        if (t.client === 'ioredis') {
            sub.on('message', (c, m) => seen.push(`${c}=${m}`));
            sub.on('pmessage', (p, c, m) => seen.push(`${p}:${c}=${m}`));
            sub.on('smessage', (c, m) => seen.push(`s:${c}=${m}`));
            await sub.subscribe('news', 'weather');
            await sub.psubscribe('n*', 'room.?');
            await sub.ssubscribe('shard');
        } else {
            for (const c of ['news', 'weather']) {
                await sub.subscribe(c, (m, channel) => seen.push(`${channel}=${m}`));
            }
            for (const p of ['n*', 'room.?']) {
                await sub.pSubscribe(p, (m, c) => seen.push(`${p}:${c}=${m}`));
            }
            await sub.sSubscribe('shard', (m, c) => seen.push(`s:${c}=${m}`));
        }
        t.assert.equal(await raw(t, pub, 'PUBLISH', 'news', 1), 2);
        t.assert.equal(await raw(t, pub, 'PUBLISH', 'weather', 2), 1);
        t.assert.equal(await raw(t, pub, 'PUBLISH', 'room.7', 3), 1);
        t.assert.equal(await raw(t, pub, 'PUBLISH', 'room.77', 4), 0);
        t.assert.equal(await raw(t, pub, 'SPUBLISH', 'shard', 5), 1);
        /* What PUBLISH answers in a script is not compared: README.md, "How it differs". */
        await raw(t, pub, 'EVAL', "return redis.call('publish', 'news', ARGV[1])", 0, '6');
        await t.until('the messages', () => seen.length === 7);
        t.assert.deepEqual([...seen].sort(), ['n*:news=1', 'n*:news=6', 'news=1', 'news=6', 'room.?:room.7=3', 's:shard=5',
            'weather=2'].sort());
        seen.length = 0;
        await Promise.all(Array.from({ length: 1000 }, (_, i) => raw(t, pub, 'PUBLISH', 'weather', i)));
        await t.until('1000 messages', () => seen.length === 1000);
        t.assert.deepEqual(seen, Array.from({ length: 1000 }, (_, i) => `weather=${i}`));
        await sub.unsubscribe('news');
        t.assert.equal(await raw(t, pub, 'PUBLISH', 'news', 1), 1);
    },

    /* ioredis: what it adds to commands. */
    async ioredisFeatures(t) {
        const redis = await t.ioredis({ enableAutoPipelining: true, keyPrefix: 'p:' });
        redis.defineCommand('both', { numberOfKeys: 2, lua: `
            redis.call('SET', KEYS[1], ARGV[1]); redis.call('SET', KEYS[2], ARGV[2])
            return {redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2])}` });
        await Promise.all(Array.from({ length: 500 }, (_, i) => redis.both(`a${i}`, `b${i}`, i, -i).then((r) =>
            t.assert.deepEqual(r, [String(i), String(-i)]))));
        const values = await Promise.all(Array.from({ length: 500 }, (_, i) => redis.get(`b${i}`)));
        t.assert.deepEqual(values, Array.from({ length: 500 }, (_, i) => String(-i)));
        const plain = await t.ioredis();
        const keys = [];
        for await (const some of plain.scanStream({ match: 'p:a*', count: 50 })) {
            keys.push(...some);
        }
        t.assert.equal(new Set(keys).size, 500);
        const pipe = await plain.pipeline().set('x', 'y').incr('x').lpush('l', 1, 2)
            .eval('return redis.call("LLEN", KEYS[1])', 1, 'l').exec();
        t.assert.match(pipe[1][0].message, /not an integer/);
        t.assert.deepEqual([pipe[0][1], pipe[2][1], pipe[3][1]], ['OK', 2, 2]);
        const tx = await plain.multi().set('x', 1).incr('x').hset('x', 'f', 1).get('x').exec();
        t.assert.deepEqual([tx[1], tx[3]], [[null, 2], [null, '2']]);
        t.assert.match(tx[2][0].message, /WRONGTYPE/);
        await t.assert.rejects(plain.multi().set('x').exec(), /EXECABORT/);
        /* MULTI without a pipeline: each command is answered by QUEUED. */
        await plain.multi({ pipeline: false });
        t.assert.equal(await plain.set('x', 5), 'QUEUED');
        t.assert.deepEqual((await plain.exec())[0], [null, 'OK']);
        const copy = await t.ioredis();
        const events = [];
        copy.on('pmessage', (p, c, m) => events.push(`${c} ${m}`));
        await plain.config('SET', 'notify-keyspace-events', 'KEA');
        await copy.psubscribe('__key*__:*');
        await plain.set('seen', 1, 'PX', 30);
        await t.until('the expiry', () => events.includes('__keyevent@0__:expired seen'));
        t.assert.ok(events.includes('__keyspace@0__:seen set'));
        await plain.config('SET', 'notify-keyspace-events', '');
    },

    /* node-redis: RESP3, pools, functions, the client-side cache. */
    async nodeRedisFeatures(t) {
        const redis = await t.nodeRedis({ RESP: 3 });
        const { createClientPool, defineScript } = require('redis');
        await redis.set('k', 'v');
        t.assert.equal(await redis.withTypeMapping({}).get('k'), 'v');
        await redis.hSet('h', { a: '1', b: '2' });
        t.assert.deepEqual({ ...await redis.hGetAll('h') }, { a: '1', b: '2' });
        await redis.zAdd('z', [{ score: 1.5, value: 'x' }, { score: 2, value: 'y' }]);
        t.assert.deepEqual((await redis.zRangeWithScores('z', 0, -1)).map((e) => e.score), [1.5, 2]);
        const [a, , c] = await redis.multi().incr('n').set('o', 1).incr('n').exec();
        t.assert.deepEqual([a, c], [1, 2]);
        for (let i = 0; i < 300; i++) {
            redis.set(`many ${i}`, i).catch(() => {});
        }
        let n = 0;
        for await (const keys of redis.scanIterator({ MATCH: 'many *', COUNT: 40 })) {
            n += keys.length;
        }
        t.assert.equal(n, 300);
        await redis.functionLoad(`#!lua name=lib
            redis.register_function('twice', function(keys, args) return redis.call('INCRBY', keys[1], 2 * args[1]) end)
            redis.register_function{function_name='peek', callback=function(keys) return redis.call('GET', keys[1]) end,
                flags={'no-writes'}}`, { REPLACE: true });
        t.assert.equal(await redis.fCall('twice', { keys: ['n'], arguments: ['5'] }), 12);
        t.assert.equal(await redis.fCallRo('peek', { keys: ['n'], arguments: [] }), '12');
        t.assert.equal((await redis.functionList())[0].library_name, 'lib');
        const pool = createClientPool({ socket: { host: '127.0.0.1', port: t.port } }, { minimum: 2, maximum: 5 });
        await pool.connect();
        t.later(() => pool.destroy());
        const sum = defineScript({ SCRIPT: "return redis.call('INCRBY', KEYS[1], ARGV[1])", NUMBER_OF_KEYS: 1,
            parseCommand(parser, key, by) { parser.pushKey(key); parser.push(String(by)); }, transformReply: (r) => r });
        t.assert.ok(sum.SHA1);
        await Promise.all(Array.from({ length: 200 }, (_, i) => pool.execute((x) =>
            x.eval("return redis.call('INCRBY', KEYS[1], ARGV[1])", { keys: [`pool ${i % 3}`], arguments: ['1'] }))));
        t.assert.equal((await redis.mGet(['pool 0', 'pool 1', 'pool 2'])).reduce((x, y) => x + Number(y), 0), 200);
        /* Client-side caching: what another one writes is seen. */
        const cached = await t.nodeRedis({ RESP: 3, clientSideCache: { ttl: 0, maxEntries: 0, evictPolicy: 'LRU' } });
        for (let i = 0; i < 20; i++) {
            await redis.set('cached', i);
            await t.until('the invalidation', async () => await cached.get('cached') === String(i));
            t.assert.equal(await cached.get('cached'), String(i));
        }
        await redis.functionFlush();
    },
};

module.exports = {
    scenarios,
    clients: ['ioredis', 'node-redis'],
    only: { ioredisFeatures: ['ioredis'], nodeRedisFeatures: ['node-redis'] },
};
