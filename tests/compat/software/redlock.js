/* redlock.js - redlock 5 (and 4): locks whose scripts set, compare and delete several keys at once.
 * Version 5 keeps to ioredis. Independent servers are databases of the one server here.
 */
'use strict';
const { default: Redlock, ExecutionError, ResourceLockedError } = require('redlock');

const scenarios = {
    /* A counter that is read, and written after a while, under the lock: no increment is lost. */
    async exclusion(t) {
        const redis = await t.ioredis();
        let inside = 0;
        await Promise.all(Array.from({ length: 10 }, async () => {
            const own = await t.ioredis();
            const redlock = new Redlock([own], { retryCount: -1, retryDelay: 5, retryJitter: 10 });
            redlock.on('error', () => {});
            for (let i = 0; i < 15; i++) {
                const lock = await redlock.acquire(['counter lock'], 5000);
                t.assert.equal(++inside, 1);
                const value = Number(await own.get('counter'));
                await t.sleep(1);
                await own.set('counter', value + 1);
                inside--;
                await lock.release();
            }
        }));
        t.assert.equal(await redis.get('counter'), '150');
        t.assert.equal(await redis.exists('counter lock'), 0);
    },

    /* using() prolongs a short lock for as long as the routine lasts. */
    async extension(t) {
        const redis = await t.ioredis();
        const redlock = new Redlock([redis], { retryCount: 0, automaticExtensionThreshold: 300 });
        const other = new Redlock([await t.ioredis()], { retryCount: 0 });
        other.on('error', () => {});
        let refused = 0;
        let running = true;
        const intrude = async () => {
            while (running) {
                await t.assert.rejects(other.acquire(['a', 'b'], 100), ExecutionError);
                refused++;
                await t.sleep(20);
            }
        };
        await redlock.using(['a', 'b', 'c'], 600, async (signal) => {
            const intruder = intrude();
            for (let i = 0; i < 20; i++) {
                await t.sleep(100);
                t.assert.equal(signal.aborted, false);
            }
            running = false;
            await intruder;
        });
        t.assert.ok(refused > 10);
        t.assert.equal(await redis.exists('a', 'b', 'c'), 0);
        /* extend() by hand. */
        const lock = await redlock.acquire(['a', 'b'], 500);
        const longer = await lock.extend(5000);
        t.assert.ok(await redis.pttl('a') > 4000 && await redis.pttl('b') > 4000);
        await longer.release();
        await t.assert.rejects(longer.extend(1000));
    },

    /* Several resources, which lie on several shards: all of them or none. */
    async resources(t) {
        const redis = await t.ioredis();
        const redlock = new Redlock([redis], { retryCount: 0 });
        const names = Array.from({ length: 20 }, (_, i) => `resource ${i}`);
        const one = await redlock.acquire([names[13]], 10000);
        const errors = [];
        redlock.on('error', (e) => errors.push(e));
        await t.assert.rejects(redlock.acquire(names, 10000), ExecutionError);
        await t.until('the reason', () => errors.some((e) => e instanceof ResourceLockedError));
        t.assert.equal(await redis.exists(...names), 1);
        await one.release();
        const all = await redlock.acquire(names, 10000);
        t.assert.equal(await redis.exists(...names), 20);
        t.assert.equal(new Set(await redis.mget(names)).size, 1);
        await redis.set(names[5], 'of another');
        await t.assert.rejects(all.extend(10000));
        await all.release().catch(() => {});
        await redis.set(names[5], 'of another');
        t.assert.equal(await redis.get(names[5]), 'of another');
        /* Pairs in any order: no deadlock, as a pair is taken at once. */
        const held = new Set();
        let rounds = 0;
        await Promise.all(Array.from({ length: 8 }, async (_, k) => {
            const own = new Redlock([await t.ioredis()], { retryCount: -1, retryDelay: 5, retryJitter: 5 });
            own.on('error', () => {});
            for (let i = 0; i < 15; i++) {
                const pair = [`p${(k + i) % 5}`, `p${(k + i * 3 + 1) % 5}`];
                if (pair[0] === pair[1]) {
                    continue;
                }
                await own.using(pair, 5000, async () => {
                    for (const p of pair) {
                        t.assert.ok(!held.has(p));
                        held.add(p);
                    }
                    await t.sleep(2);
                    pair.forEach((p) => held.delete(p));
                    rounds++;
                });
            }
        }));
        t.assert.ok(rounds > 60);
    },

    async expiry(t) {
        const redis = await t.ioredis();
        const redlock = new Redlock([redis], { retryCount: 0, automaticExtensionThreshold: 10 });
        redlock.on('error', () => {});
        const lock = await redlock.acquire(['short'], 200);
        await t.assert.rejects(redlock.acquire(['short'], 200), ExecutionError);
        await t.until('the end of the lock', async () => await redis.exists('short') === 0, 2000);
        const next = await redlock.acquire(['short'], 5000);
        await t.assert.rejects(lock.release(), ExecutionError);
        t.assert.equal(await redis.get('short'), next.value);
        await next.release();
        /* A script that the server has forgotten is sent again. */
        await redis.script('FLUSH');
        await (await redlock.acquire(['short'], 1000)).release();
    },

    /* Three independent databases: two are a quorum. */
    async quorum(t) {
        const clients = await Promise.all([0, 1, 2].map((db) => t.ioredis({ db })));
        const redlock = new Redlock(clients, { retryCount: 0 });
        redlock.on('error', () => {});
        await clients[1].set('q', 'taken');
        const lock = await redlock.acquire(['q'], 5000);
        t.assert.equal(await clients[0].get('q'), lock.value);
        t.assert.equal(await clients[1].get('q'), 'taken');
        await lock.release();
        await clients[2].set('q', 'taken');
        await t.assert.rejects(redlock.acquire(['q'], 5000), ExecutionError);
        t.assert.equal(await clients[0].exists('q'), 0);
    },

    /* Version 4, which most installations still have. */
    async version4(t) {
        const Redlock4 = require('redlock4');
        const redis = await t.ioredis();
        let inside = 0;
        await Promise.all(Array.from({ length: 8 }, async () => {
            const own = new Redlock4([await t.ioredis()], { retryCount: 10000, retryDelay: 5, retryJitter: 10 });
            for (let i = 0; i < 10; i++) {
                const lock = await own.lock(['old lock', 'old second'], 5000);
                t.assert.equal(++inside, 1);
                await t.sleep(1);
                inside--;
                await (await lock.extend(8000)).unlock();
            }
        }));
        t.assert.equal(await redis.exists('old lock', 'old second'), 0);
        const own = new Redlock4([redis], { retryCount: 0 });
        const lock = await own.lock('one', 5000);
        await t.assert.rejects(own.lock('one', 5000), (e) => e.name === 'LockError');
        await lock.unlock();
    },
};

module.exports = { scenarios, clients: ['ioredis'] };
