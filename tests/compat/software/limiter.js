/* limiter.js - rate-limiter-flexible: a script (EVAL, EVALSHA) or a transaction for each decision, and
 * counts that must be exact however many ask at once.
 */
'use strict';
const { BurstyRateLimiter, RateLimiterMemory, RateLimiterQueue, RateLimiterRedis, RateLimiterRedisNonAtomic,
    RateLimiterRes, RateLimiterUnion, RLWrapperBlackAndWhite } = require('rate-limiter-flexible');

/* Several connections, a limiter on each, over the same keys. */
async function limiters(t, n, options, Kind = RateLimiterRedis) {
    const all = [];
    for (let i = 0; i < n; i++) {
        const storeClient = await t.redis(t.client === 'ioredis' ? { enableOfflineQueue: false, lazyConnect: true } : {});
        if (t.client === 'ioredis') {
            await storeClient.connect();
        }
        all.push(new Kind({ storeClient, useRedisPackage: t.client === 'node-redis', ...options }));
    }
    return all;
}

/* The results of many calls at once; a rejection that is not a decision is an error. */
async function ask(calls) {
    const settled = await Promise.allSettled(calls);
    const good = [];
    const refused = [];
    for (const s of settled) {
        if (s.status === 'fulfilled') {
            good.push(s.value);
        } else if (s.reason instanceof RateLimiterRes) {
            refused.push(s.reason);
        } else {
            throw s.reason;
        }
    }
    return { good, refused };
}

const scenarios = {
    /* 600 requests over 6 connections for 100 points: 100 pass, each with another number. */
    async exact(t) {
        const all = await limiters(t, 6, { keyPrefix: 'exact', points: 100, duration: 60 });
        const { good, refused } = await ask(Array.from({ length: 600 }, (_, i) => all[i % 6].consume('user')));
        t.assert.equal(good.length, 100);
        t.assert.deepEqual(good.map((r) => r.remainingPoints).sort((a, b) => a - b),
            Array.from({ length: 100 }, (_, i) => i));
        t.assert.deepEqual(refused.map((r) => r.consumedPoints).sort((a, b) => a - b),
            Array.from({ length: 500 }, (_, i) => 101 + i));
        t.assert.equal(good.filter((r) => r.isFirstInDuration).length, 1);
        t.assert.ok(refused.every((r) => r.msBeforeNext > 50000 && r.msBeforeNext <= 60000));
        /* Many keys at once, with several points each. */
        const many = await ask(Array.from({ length: 1000 }, (_, i) => all[i % 6].consume(`k${i % 50}`, 9)));
        t.assert.equal(many.good.length, 50 * 11);
    },

    async window(t) {
        const [limiter] = await limiters(t, 1, { keyPrefix: 'window', points: 3, duration: 1 });
        for (let round = 0; round < 3; round++) {
            const { good, refused } = await ask(Array.from({ length: 5 }, () => limiter.consume('u')));
            t.assert.deepEqual([good.length, refused.length], [3, 2]);
            await t.sleep(refused[0].msBeforeNext + 20);
        }
    },

    /* Points given back, taken away, set, read, deleted. */
    async points(t) {
        const [limiter] = await limiters(t, 1, { keyPrefix: 'points', points: 10, duration: 30 });
        t.assert.equal(await limiter.get('u'), null);
        await limiter.consume('u', 4);
        t.assert.equal((await limiter.get('u')).consumedPoints, 4);
        t.assert.equal((await limiter.reward('u', 2)).consumedPoints, 2);
        t.assert.equal((await limiter.penalty('u', 5)).consumedPoints, 7);
        await limiter.set('u', 9, 100);
        const set = await limiter.get('u');
        t.assert.equal(set.consumedPoints, 9);
        t.assert.ok(set.msBeforeNext > 90000);
        t.assert.equal((await limiter.consume('u')).remainingPoints, 0);
        await t.assert.rejects(limiter.consume('u'), RateLimiterRes);
        t.assert.equal(await limiter.delete('u'), true);
        t.assert.equal(await limiter.delete('u'), false);
        const mixed = Array.from({ length: 200 }, (_, i) => (i % 2 ? limiter.penalty('m', 3) : limiter.reward('m', 1)));
        await Promise.all(mixed);
        t.assert.equal((await limiter.get('m')).consumedPoints, 200);
    },

    async blocking(t) {
        const all = await limiters(t, 3, { keyPrefix: 'block', points: 5, duration: 1, blockDuration: 3 });
        const { good } = await ask(Array.from({ length: 30 }, (_, i) => all[i % 3].consume('u')));
        t.assert.equal(good.length, 5);
        await t.sleep(1200);
        const later = await ask([all[0].consume('u')]);
        t.assert.equal(later.refused.length, 1);
        t.assert.ok(later.refused[0].msBeforeNext > 500);
        await all[0].block('v', 20);
        const blocked = await ask([all[1].consume('v')]);
        t.assert.ok(blocked.refused[0].msBeforeNext > 15000);
        /* Without an end. */
        await all[0].block('w', 0);
        t.assert.equal((await all[1].get('w')).msBeforeNext, -1);
    },

    /* No end of the window, where increment and TTL are a transaction. */
    async endless(t) {
        const all = await limiters(t, 3, { keyPrefix: 'endless', points: 50, duration: 0 });
        const { good, refused } = await ask(Array.from({ length: 80 }, (_, i) => all[i % 3].consume('u')));
        t.assert.deepEqual([good.length, refused.length], [50, 30]);
        t.assert.ok(refused.every((r) => r.msBeforeNext === -1));
        const redis = await t.ioredis();
        t.assert.equal(await redis.get('endless:u'), '80');
        t.assert.equal(await redis.ttl('endless:u'), -1);
    },

    async evenly(t) {
        const [limiter] = await limiters(t, 1, { keyPrefix: 'even', points: 5, duration: 2, execEvenly: true });
        const begin = Date.now();
        await Promise.all(Array.from({ length: 4 }, () => limiter.consume('u')));
        t.assert.ok(Date.now() - begin > 500);
    },

    async kinds(t) {
        const [minute, hour, burst] = [
            (await limiters(t, 1, { keyPrefix: 'minute', points: 10, duration: 60 }))[0],
            (await limiters(t, 1, { keyPrefix: 'hour', points: 15, duration: 3600 }))[0],
            (await limiters(t, 1, { keyPrefix: 'burst', points: 4, duration: 60 }))[0]];
        const union = new RateLimiterUnion(minute, hour);
        t.assert.equal((await ask(Array.from({ length: 8 }, () => union.consume('u')))).good.length, 8);
        await ask([minute.consume('u', 5)]);
        await t.assert.rejects(union.consume('u'));
        const bursty = new BurstyRateLimiter(minute, burst);
        const { good, refused } = await ask(Array.from({ length: 20 }, () => bursty.consume('b')));
        t.assert.deepEqual([good.length, refused.length], [14, 6]);
        const listed = new RLWrapperBlackAndWhite({ limiter: minute, whiteList: ['w'], blackList: ['x'] });
        t.assert.equal((await ask(Array.from({ length: 30 }, () => listed.consume('w')))).good.length, 30);
        t.assert.equal((await ask([listed.consume('x')])).refused.length, 1);
        /* A queue of waiting requests. */
        const [second] = await limiters(t, 1, { keyPrefix: 'queue', points: 5, duration: 1 });
        const queue = new RateLimiterQueue(second);
        const begin = Date.now();
        await Promise.all(Array.from({ length: 12 }, () => queue.removeTokens(1)));
        t.assert.ok(Date.now() - begin > 1000);
    },

    /* The plain one without scripts; one with a script of the user; one with insurance. */
    async variants(t) {
        const [plain] = await limiters(t, 1, { keyPrefix: 'plain', points: 5, duration: 10 }, RateLimiterRedisNonAtomic);
        for (let i = 0; i < 5; i++) {
            await plain.consume('u');
        }
        await t.assert.rejects(plain.consume('u'), RateLimiterRes);
        const custom = await limiters(t, 4, { keyPrefix: 'custom', points: 20, duration: 10, customIncrTtlLuaScript: `
            local n = redis.call('incrby', KEYS[1], ARGV[1])
            if n == tonumber(ARGV[1]) then
                redis.call('pexpire', KEYS[1], ARGV[2] * 1000)
            end
            redis.call('zadd', 'seen by the script', 'incr', 1, KEYS[1])
            return {n, redis.call('pttl', KEYS[1])}` });
        const { good } = await ask(Array.from({ length: 100 }, (_, i) => custom[i % 4].consume(`u${i % 2}`)));
        t.assert.equal(good.length, 40);
        const redis = await t.ioredis();
        t.assert.deepEqual(await redis.zrange('seen by the script', 0, -1, 'WITHSCORES'),
            ['custom:u0', '50', 'custom:u1', '50']);
        const [closed] = await limiters(t, 1, { keyPrefix: 'closed', points: 5, duration: 10, rejectIfRedisNotReady: true,
            insuranceLimiter: new RateLimiterMemory({ points: 2, duration: 10 }) });
        closed.client.disconnect ? await closed.client.disconnect() : closed.client.destroy();
        t.assert.deepEqual(Object.values((await ask([1, 2, 3].map(() => closed.consume('u'))))).map((a) => a.length), [2, 1]);
    },
};

module.exports = { scenarios, clients: ['ioredis', 'node-redis'] };
