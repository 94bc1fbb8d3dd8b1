/* bullmq.js - BullMQ as an application uses it: its Lua scripts build the names of most keys themselves,
 * its workers wait by BZPOPMIN, its events are streams read by XREAD BLOCK, its bulk calls MULTI.
 */
'use strict';
const { fork } = require('node:child_process');
const { DelayedError, FlowProducer, Queue, QueueEvents, QueueEventsProducer, RateLimitError, UnrecoverableError,
    WaitingChildrenError, Worker } = require('bullmq');

/* Where BullMQ finds the server: it duplicates what it is given for connections of its own. */
async function connection(t) {
    return t.client === 'ioredis' ? { host: '127.0.0.1', port: t.port } : t.nodeRedis();
}

async function queue(t, name, options = {}) {
    const q = new Queue(name, { connection: await connection(t), ...options });
    q.on('error', () => {});
    t.later(() => q.close());
    await q.waitUntilReady();
    return q;
}

async function worker(t, name, f, options = {}) {
    const w = new Worker(name, f, { connection: await connection(t), drainDelay: 1, ...options });
    w.on('error', () => {});
    t.later(() => w.close(true));
    await w.waitUntilReady();
    return w;
}

async function events(t, name, options = {}) {
    const e = new QueueEvents(name, { connection: await connection(t), ...options });
    e.on('error', () => {});
    t.later(() => e.close());
    await e.waitUntilReady();
    return e;
}

const counts = (q) => q.getJobCounts('wait', 'active', 'completed', 'failed', 'delayed', 'prioritized',
    'waiting-children', 'paused');

const scenarios = {
    async basics(t) {
        const q = await queue(t, 'basics');
        const e = await events(t, 'basics');
        await worker(t, 'basics', async (job) => {
            await job.log('begun');
            await job.updateProgress({ percent: 50 });
            await job.log('ended');
            return { sum: job.data.a + job.data.b };
        });
        const job = await q.add('sum', { a: 2, b: 3 }, { jobId: 'one' });
        t.assert.deepEqual(await job.waitUntilFinished(e, 10000), { sum: 5 });
        const same = await q.add('sum', { a: 7, b: 7 }, { jobId: 'one' });
        t.assert.deepEqual((await q.getJob(same.id)).returnvalue, { sum: 5 });
        const read = await q.getJob('one');
        t.assert.deepEqual(read.progress, { percent: 50 });
        t.assert.equal(await read.getState(), 'completed');
        t.assert.deepEqual((await q.getJobLogs('one')).logs, ['begun', 'ended']);
        const bulk = await q.addBulk(Array.from({ length: 100 }, (_, i) => ({ name: 'sum', data: { a: i, b: 1 } })));
        const values = await Promise.all(bulk.map((j) => j.waitUntilFinished(e, 20000)));
        t.assert.deepEqual(values.map((v) => v.sum), Array.from({ length: 100 }, (_, i) => i + 1));
        t.assert.equal(await q.getCompletedCount(), 101);
        t.assert.equal((await q.getCompleted(0, 9)).length, 10);
        t.assert.equal(await q.getJob('none'), undefined);
        await read.remove();
        t.assert.equal(await q.getJobState('one'), 'unknown');
        const changed = await q.add('sum', { a: 1, b: 1 }, { delay: 100000 });
        await changed.updateData({ a: 5, b: 5 });
        t.assert.deepEqual((await q.getJob(changed.id)).data, { a: 5, b: 5 });
    },

    /* 8 workers that run 10 jobs at once each: every job exactly once, and none is left. */
    async exactlyOnce(t) {
        const total = 1500;
        const q = await queue(t, 'many');
        const runs = new Map();
        let done = 0;
        for (let i = 0; i < 8; i++) {
            const w = await worker(t, 'many', async (job) => {
                runs.set(job.data.n, (runs.get(job.data.n) || 0) + 1);
                await t.sleep(Math.random() * 5);
                return job.data.n;
            }, { concurrency: 10 });
            w.on('completed', () => done++);
        }
        for (let i = 0; i < total; i += 100) {
            if (i % 200 === 0) {
                await q.addBulk(Array.from({ length: 100 }, (_, k) => ({ name: 'x', data: { n: i + k } })));
            } else {
                await Promise.all(Array.from({ length: 100 }, (_, k) => q.add('x', { n: i + k })));
            }
        }
        await t.until('all jobs', () => done === total, 45000);
        t.assert.equal(runs.size, total);
        t.assert.ok([...runs.values()].every((n) => n === 1));
        t.assert.deepEqual(await counts(q), { wait: 0, active: 0, completed: total, failed: 0, delayed: 0,
            prioritized: 0, 'waiting-children': 0, paused: 0 });
    },

    /* One worker at a time keeps the order of adding, and LIFO turns it. */
    async order(t) {
        const q = await queue(t, 'order');
        for (let i = 0; i < 50; i++) {
            await q.add('x', { i });
        }
        await q.add('x', { i: 'last in' }, { lifo: true });
        const seen = [];
        await worker(t, 'order', async (job) => seen.push(job.data.i));
        await t.until('all jobs', () => seen.length === 51);
        t.assert.deepEqual(seen, ['last in', ...Array.from({ length: 50 }, (_, i) => i)]);
    },

    async delayed(t) {
        const q = await queue(t, 'delayed');
        const seen = [];
        const begin = Date.now();
        await worker(t, 'delayed', async (job) => seen.push([job.name, Date.now() - begin]));
        await q.add('c', {}, { delay: 900 });
        await q.add('a', {}, { delay: 300 });
        await q.add('b', {}, { delay: 600 });
        const changed = await q.add('d', {}, { delay: 100000 });
        const promoted = await q.add('now', {}, { delay: 100000 });
        t.assert.equal(await q.getDelayedCount(), 5);
        await changed.changeDelay(1200);
        await promoted.promote();
        await t.until('all delayed jobs', () => seen.length === 5);
        t.assert.deepEqual(seen.map(([n]) => n), ['now', 'a', 'b', 'c', 'd']);
        for (const [name, least] of [['a', 300], ['b', 600], ['c', 900], ['d', 1200]]) {
            const at = seen.find(([n]) => n === name)[1];
            t.assert.ok(at >= least - 5, `${name} ran after ${at} ms`);
        }
        await q.addBulk([1, 2, 3].map((i) => ({ name: 'p', data: { i }, opts: { delay: 50000 } })));
        await q.promoteJobs();
        await t.until('promoted jobs', () => seen.length === 8);
    },

    /* Repeatable jobs: every n ms, by a cron pattern, with a limit; changed and removed. */
    async schedulers(t) {
        const q = await queue(t, 'scheduled');
        const seen = {};
        await worker(t, 'scheduled', async (job) => { seen[job.name] = (seen[job.name] || 0) + 1; });
        await q.upsertJobScheduler('fast', { every: 100, limit: 5 }, { name: 'fast', data: { x: 1 } });
        await q.upsertJobScheduler('cron', { pattern: '* * * * * *' }, { name: 'cron' });
        await q.upsertJobScheduler('far', { every: 3600000, startDate: Date.now() + 3600000 }, { name: 'far' });
        t.assert.equal(await q.getJobSchedulersCount(), 3);
        t.assert.deepEqual((await q.getJobSchedulers()).map((s) => s.name).sort(), ['cron', 'far', 'fast']);
        t.assert.equal((await q.getJobScheduler('cron')).pattern, '* * * * * *');
        await t.until('five fast ones and two of cron', () => seen.fast >= 5 && seen.cron >= 2, 15000);
        await t.sleep(300);
        t.assert.equal(seen.fast, 5);
        await q.upsertJobScheduler('far', { every: 200 }, { name: 'near' });
        await t.until('the changed scheduler', () => seen.near >= 2);
        t.assert.equal(await q.removeJobScheduler('cron'), true);
        t.assert.equal(await q.removeJobScheduler('cron'), false);
        await q.removeJobScheduler('far');
        await t.sleep(300);
        const before = { ...seen };
        await t.sleep(1200);
        t.assert.deepEqual(seen, before);
    },

    async priorities(t) {
        const q = await queue(t, 'prio');
        const add = (n, priority) => q.add('x', { n }, { priority });
        await add('five', 5);
        await add('one a', 1);
        await add('three', 3);
        await add('one b', 1);
        const moved = await add('was 100', 100);
        await q.add('x', { n: 'none' });
        t.assert.deepEqual(await q.getCountsPerPriority([0, 1, 3, 5, 100]), { 0: 1, 1: 2, 3: 1, 5: 1, 100: 1 });
        await moved.changePriority({ priority: 2 });
        t.assert.equal(await q.getPrioritizedCount(), 5);
        const seen = [];
        await worker(t, 'prio', async (job) => seen.push(job.data.n));
        await t.until('all jobs', () => seen.length === 6);
        t.assert.deepEqual(seen, ['none', 'one a', 'one b', 'was 100', 'three', 'five']);
        /* Many with random priorities, added before the worker begins. */
        await q.pause();
        await Promise.all(Array.from({ length: 200 }, (_, i) => add(i, 1 + (i * 7919) % 20)));
        seen.length = 0;
        await q.resume();
        await t.until('200 jobs', () => seen.length === 200, 20000);
        const ranks = seen.map((i) => 1 + (i * 7919) % 20);
        t.assert.deepEqual(ranks, [...ranks].sort((a, b) => a - b));
    },

    /* Trees of jobs over several queues: parents wait for their children and see their results. */
    async flows(t) {
        const flow = new FlowProducer({ connection: await connection(t) });
        t.later(() => flow.close());
        const parents = await queue(t, 'parents');
        const children = await queue(t, 'children');
        const seen = [];
        await worker(t, 'grandchildren', async (job) => {
            seen.push(job.name);
            return job.data.v;
        }, { concurrency: 4 });
        await worker(t, 'children', async (job) => {
            seen.push(job.name);
            if (job.data.fail) {
                throw new Error('as asked');
            }
            return Object.values(await job.getChildrenValues()).reduce((a, b) => a + b, 0);
        }, { concurrency: 4 });
        await worker(t, 'parents', async (job) => {
            seen.push(job.name);
            return Object.values(await job.getChildrenValues()).reduce((a, b) => a + b, 0);
        });
        const e = await events(t, 'parents');
        const tree = (k) => ({ name: `p${k}`, queueName: 'parents', children: [0, 1, 2].map((i) => ({
            name: `c${k}${i}`, queueName: 'children', children: [1, 2, 3].map((v) => ({
                name: `g${k}${i}${v}`, queueName: 'grandchildren', data: { v } })) })) });
        const { job } = await flow.add(tree(0));
        t.assert.equal(await job.waitUntilFinished(e, 15000), 18);
        t.assert.equal(seen.length, 13);
        t.assert.equal(seen[12], 'p0');
        const all = await flow.addBulk([1, 2, 3, 4, 5].map(tree));
        const sums = await Promise.all(all.map((n) => n.job.waitUntilFinished(e, 20000)));
        t.assert.deepEqual(sums, [18, 18, 18, 18, 18]);
        const got = await flow.getFlow({ id: job.id, queueName: 'parents' });
        t.assert.equal(got.children.length, 3);
        t.assert.equal(got.children[0].children.length, 3);
        const deps = await (await parents.getJob(job.id)).getDependenciesCount();
        t.assert.equal(deps.processed, 3);
        t.assert.equal(deps.unprocessed, 0);
        /* Failing children. */
        const failing = async (opts) => (await flow.add({ name: 'p', queueName: 'parents', children: [
            { name: 'bad', queueName: 'children', data: { fail: true }, opts },
            { name: 'good', queueName: 'children' }] })).job;
        const failed = await failing({ failParentOnFailure: true });
        await t.until('the parent to fail', async () => await failed.getState() === 'failed');
        const ignored = await failing({ ignoreDependencyOnFailure: true });
        t.assert.equal(await ignored.waitUntilFinished(e, 10000), 0);
        t.assert.equal(Object.keys(await (await parents.getJob(ignored.id)).getIgnoredChildrenFailures()).length, 1);
        const removed = await failing({ removeDependencyOnFailure: true });
        t.assert.equal(await removed.waitUntilFinished(e, 10000), 0);
        const continued = await failing({ continueParentOnFailure: true });
        t.assert.equal(await continued.waitUntilFinished(e, 10000), 0);
        const stuck = await failing({});
        await t.until('the child to fail', async () => await children.getFailedCount() === 5);
        t.assert.equal(await stuck.getState(), 'waiting-children');
        await stuck.remove();
        t.assert.equal(await stuck.getState(), 'unknown');
    },

    async rateLimiter(t) {
        const q = await queue(t, 'limited');
        const starts = [];
        const process = async () => starts.push(Date.now());
        for (let i = 0; i < 3; i++) {
            await worker(t, 'limited', process, { concurrency: 5, limiter: { max: 5, duration: 400 } });
        }
        await q.addBulk(Array.from({ length: 20 }, (_, i) => ({ name: 'x', data: { i } })));
        await t.until('20 jobs', () => starts.length === 20, 20000);
        t.assert.ok(starts[19] - starts[0] >= 3 * 400 - 50, `took ${starts[19] - starts[0]} ms`);
        /* By hand, from within a job. */
        const manual = await queue(t, 'manual');
        let limits = 0;
        const seen = [];
        const w = await worker(t, 'manual', async (job) => {
            if (job.data.i === 1 && limits++ < 1) {
                await w.rateLimit(400);
                throw new RateLimitError();
            }
            seen.push(job.data.i);
        }, { limiter: { max: 1, duration: 50 } });
        await manual.addBulk([0, 1, 2].map((i) => ({ name: 'x', data: { i } })));
        await t.until('the limit', () => limits === 1);
        t.assert.ok(await manual.getRateLimitTtl() > 0);
        await t.until('all jobs', () => seen.length === 3);
        t.assert.deepEqual([...seen].sort(), [0, 1, 2]);
    },

    async retries(t) {
        const q = await queue(t, 'retries');
        const runs = {};
        const w = await worker(t, 'retries', async (job) => {
            (runs[job.name] = runs[job.name] || []).push(Date.now());
            if (job.name === 'fatal') {
                throw new UnrecoverableError('no more');
            }
            if (runs[job.name].length < job.data.good) {
                throw new Error(`try ${runs[job.name].length}`);
            }
            return 'good';
        }, { concurrency: 5, settings: { backoffStrategy: (n) => n * 100 } });
        const failedEvents = [];
        w.on('failed', (job, error) => failedEvents.push([job.name, error.message]));
        const add = (name, good, attempts, backoff) => q.add(name, { good }, { attempts, backoff });
        const jobs = {
            fixed: await add('fixed', 3, 3, { type: 'fixed', delay: 200 }),
            exponential: await add('exponential', 4, 4, { type: 'exponential', delay: 100 }),
            custom: await add('custom', 3, 3, { type: 'mine' }),
            hopeless: await add('hopeless', 100, 2, 10),
            fatal: await add('fatal', 100, 10, 10),
        };
        const e = await events(t, 'retries');
        await t.until('the ends of all', async () =>
            await q.getCompletedCount() === 3 && await q.getFailedCount() === 2, 15000);
        const gaps = (name) => runs[name].slice(1).map((at, i) => at - runs[name][i]);
        const atLeast = (name, least) => gaps(name).forEach((gap, i) =>
            t.assert.ok(gap >= least[i] - 5, `${name}: ${gap} ms before try ${i + 2}`));
        atLeast('fixed', [200, 200]);
        atLeast('exponential', [100, 200, 400]);
        atLeast('custom', [100, 200]);
        t.assert.equal(runs.hopeless.length, 2);
        t.assert.equal(runs.fatal.length, 1);
        t.assert.equal((await q.getJob(jobs.hopeless.id)).failedReason, 'try 2');
        t.assert.equal((await q.getJob(jobs.exponential.id)).attemptsMade, 4);
        t.assert.equal(failedEvents.filter(([n]) => n === 'exponential').length, 3);
        await (await q.getJob(jobs.hopeless.id)).updateData({ good: 3 });
        await (await q.getJob(jobs.hopeless.id)).retry();
        t.assert.equal(await (await q.getJob(jobs.hopeless.id)).waitUntilFinished(e, 10000), 'good');
        await q.retryJobs({ state: 'failed' });
        await t.until('the other to fail again', () => runs.fatal.length === 2);
    },

    async events(t) {
        const q = await queue(t, 'watched');
        const e = await events(t, 'watched');
        const seen = [];
        for (const name of ['added', 'waiting', 'active', 'progress', 'completed', 'failed', 'delayed', 'drained',
            'paused', 'resumed', 'removed', 'duplicated', 'retries-exhausted', 'cleaned']) {
            e.on(name, (args) => seen.push([name, args]));
        }
        e.on('mine', (args) => seen.push(['mine', args]));
        const w = await worker(t, 'watched', async (job) => {
            await job.updateProgress(42);
            if (job.name === 'bad') {
                throw new Error('bad');
            }
            return 'r';
        });
        const has = (name) => seen.some(([n]) => n === name);
        await q.add('x', {}, { jobId: 'j1' });
        await t.until('completed', () => has('completed'));
        t.assert.deepEqual(seen.filter(([, a]) => a.jobId === 'j1').map(([n]) => n).filter((n) => n !== 'drained'),
            ['added', 'waiting', 'active', 'progress', 'completed']);
        t.assert.equal(seen.find(([n]) => n === 'completed')[1].returnvalue, 'r');
        await q.add('x', {}, { jobId: 'j1' });
        await t.until('duplicated', () => has('duplicated'));
        await q.add('bad', {}, { jobId: 'j2' });
        await t.until('failed', () => has('failed') && has('retries-exhausted'));
        await q.add('x', {}, { delay: 60000, jobId: 'j3' });
        await t.until('delayed', () => has('delayed'));
        await q.remove('j3');
        await q.pause();
        await q.resume();
        await t.until('paused, resumed, removed', () => has('paused') && has('resumed') && has('removed'));
        const producer = new QueueEventsProducer('watched', { connection: await connection(t) });
        t.later(() => producer.close());
        await producer.publishEvent({ eventName: 'mine', custom: 'value' });
        await t.until('an event of ours', () => has('mine'));
        t.assert.equal(seen.find(([n]) => n === 'mine')[1].custom, 'value');
        await w.close();
        /* What was missed is read again from the stream. */
        const again = [];
        const late = await events(t, 'watched', { lastEventId: '0-0' });
        late.on('completed', (args) => again.push(args.jobId));
        await t.until('an old event', () => again.includes('j1'));
    },

    async pause(t) {
        const q = await queue(t, 'pausing');
        const seen = [];
        const w = await worker(t, 'pausing', async (job) => { seen.push(job.data.i); });
        await q.pause();
        t.assert.equal(await q.isPaused(), true);
        for (let i = 0; i < 5; i++) {
            await q.add('x', { i });
        }
        await t.sleep(500);
        t.assert.deepEqual(seen, []);
        await q.resume();
        await t.until('all after resume', () => seen.length === 5);
        t.assert.deepEqual(seen, [0, 1, 2, 3, 4]);
        await w.pause();
        await q.add('x', { i: 5 });
        await t.sleep(300);
        t.assert.equal(seen.length, 5);
        w.resume();
        await t.until('the one after the worker went on', () => seen.length === 6);
        for (let i = 0; i < 10; i++) {
            await q.pause();
            await q.add('x', { i: 10 + i });
            await q.resume();
        }
        await t.until('those added while paused', () => seen.length === 16);
    },

    async cleaning(t) {
        const redis = await t.ioredis();
        const q = await queue(t, 'cleaned');
        const w = await worker(t, 'cleaned', async (job) => {
            if (job.data.fail) {
                throw new Error('x');
            }
        });
        await q.addBulk(Array.from({ length: 60 }, (_, i) => ({ name: 'x', data: { fail: i % 3 === 0 } })));
        await t.until('all ended', async () => await q.getCompletedCount() + await q.getFailedCount() === 60);
        await w.close();
        t.assert.equal((await q.clean(0, 15, 'completed')).length, 15);
        t.assert.equal((await q.clean(0, 0, 'failed')).length, 20);
        t.assert.equal(await q.getCompletedCount(), 25);
        await q.addBulk(Array.from({ length: 50 }, () => ({ name: 'x', data: {} })));
        await q.add('d', {}, { delay: 60000 });
        await q.add('p', {}, { priority: 3 });
        await q.drain();
        t.assert.equal(await q.count(), 1);
        await q.drain(true);
        t.assert.equal(await q.count(), 0);
        await q.trimEvents(5);
        t.assert.ok(await redis.xlen('bull:cleaned:events') <= 120);
        /* By number and by age at the end of each job. */
        const kept = await queue(t, 'kept');
        let n = 0;
        await worker(t, 'kept', async () => { n++; }, { removeOnComplete: { count: 3 } });
        await kept.addBulk(Array.from({ length: 20 }, () => ({ name: 'x', data: {} })));
        await t.until('20 jobs', async () => n === 20 && await kept.getActiveCount() === 0);
        t.assert.equal(await kept.getCompletedCount(), 3);
        await q.addBulk(Array.from({ length: 300 }, (_, i) =>
            ({ name: 'x', data: {}, opts: i % 2 ? { delay: 90000 } : {} })));
        await q.obliterate();
        t.assert.deepEqual(await redis.keys('bull:cleaned:*'), []);
    },

    async deduplication(t) {
        const q = await queue(t, 'dedup');
        const e = await events(t, 'dedup');
        let duplicates = 0;
        e.on('deduplicated', () => duplicates++);
        const first = await q.add('x', { n: 1 }, { deduplication: { id: 'a' } });
        const second = await q.add('x', { n: 2 }, { deduplication: { id: 'a' } });
        t.assert.equal(second.id, first.id);
        t.assert.equal(await q.getDeduplicationJobId('a'), first.id);
        await t.until('the event', () => duplicates === 1);
        await q.removeDeduplicationKey('a');
        t.assert.notEqual((await q.add('x', { n: 3 }, { deduplication: { id: 'a' } })).id, first.id);
        const throttled = await q.add('x', {}, { deduplication: { id: 'b', ttl: 300 } });
        t.assert.equal((await q.add('x', {}, { deduplication: { id: 'b', ttl: 300 } })).id, throttled.id);
        await t.sleep(350);
        t.assert.notEqual((await q.add('x', {}, { deduplication: { id: 'b', ttl: 300 } })).id, throttled.id);
        const many = await Promise.all(Array.from({ length: 50 }, (_, n) =>
            q.add('x', { n }, { delay: 500, deduplication: { id: 'c', ttl: 5000, extend: true, replace: true } })));
        t.assert.equal(await q.getDelayedCount(), 1);
        t.assert.ok(many.length === 50);
        const left = (await q.getDelayed())[0];
        t.assert.equal(await q.getDeduplicationJobId('c'), left.id);
    },

    /* A worker that vanishes with a job: another one finds it by the stalled check. */
    async stalled(t) {
        const q = await queue(t, 'stalling');
        const e = await events(t, 'stalling');
        const stalls = [];
        e.on('stalled', ({ jobId }) => stalls.push(jobId));
        const gone = await worker(t, 'stalling', null, { lockDuration: 300, autorun: false, skipStalledCheck: true });
        const job = await q.add('x', {});
        const taken = await gone.getNextJob('token');
        t.assert.equal(taken.id, job.id);
        t.assert.equal(await q.getActiveCount(), 1);
        await worker(t, 'stalling', async () => 'by another',
            { lockDuration: 1000, stalledInterval: 300, maxStalledCount: 2 });
        t.assert.equal(await job.waitUntilFinished(e, 15000), 'by another');
        await t.until('the event', () => stalls.includes(job.id));
        await t.assert.rejects(taken.moveToCompleted('late', 'token', false));
    },

    async byHand(t) {
        const q = await queue(t, 'hand');
        const w = await worker(t, 'hand', null, { autorun: false, lockDuration: 5000 });
        await q.addBulk([1, 2, 3, 4].map((i) => ({ name: 'x', data: { i }, opts: { jobId: `h${i}` } })));
        const first = await w.getNextJob('t');
        t.assert.equal(first.id, 'h1');
        t.assert.equal(await first.extendLock('t', 10000), 1);
        t.assert.equal(await first.extendLock('other', 10000), 0);
        t.assert.equal(await q.remove('h1'), 0);
        await t.assert.rejects(first.moveToCompleted('done', 'other', false), /lock/i);
        const [data, id] = await first.moveToCompleted('done', 't', true);
        t.assert.equal(id, 'h2');
        t.assert.ok(data);
        const second = await q.getJob('h2');
        await second.moveToFailed(new Error('no'), 't', false);
        t.assert.equal(await second.getState(), 'failed');
        const third = await w.getNextJob('t');
        await third.moveToDelayed(Date.now() + 60000, 't');
        t.assert.equal(await third.getState(), 'delayed');
        const fourth = await w.getNextJob('t');
        await fourth.moveToWait('t');
        t.assert.equal(await fourth.getState(), 'waiting');
        t.assert.equal((await w.getNextJob('t')).id, 'h4');
        t.assert.equal(await w.getNextJob('t', { block: false }), undefined);
    },

    async globalConcurrency(t) {
        const q = await queue(t, 'global');
        await q.setGlobalConcurrency(3);
        t.assert.equal(await q.getGlobalConcurrency(), 3);
        let now = 0;
        let most = 0;
        let done = 0;
        for (let i = 0; i < 4; i++) {
            await worker(t, 'global', async () => {
                most = Math.max(most, ++now);
                await t.sleep(20);
                now--;
                done++;
            }, { concurrency: 4 });
        }
        await q.addBulk(Array.from({ length: 60 }, () => ({ name: 'x', data: {} })));
        await t.until('60 jobs', () => done === 60, 30000);
        t.assert.equal(most, 3);
        await q.removeGlobalConcurrency();
    },

    /* Jobs in steps: put off by DelayedError, waiting for children that they add themselves. */
    async steps(t) {
        const q = await queue(t, 'steps');
        const e = await events(t, 'steps');
        const inner = await queue(t, 'inner');
        await worker(t, 'inner', async (job) => job.data.v * 2);
        await worker(t, 'steps', async (job, token) => {
            if (!job.data.step) {
                await job.updateData({ ...job.data, step: 1 });
                await job.moveToDelayed(Date.now() + 200, token);
                throw new DelayedError();
            }
            if (job.data.step === 1) {
                for (let v = 1; v <= 3; v++) {
                    await inner.add('c', { v }, { parent: { id: job.id, queue: job.queueQualifiedName } });
                }
                await job.updateData({ ...job.data, step: 2 });
                if (await job.moveToWaitingChildren(token)) {
                    throw new WaitingChildrenError();
                }
            }
            return Object.values(await job.getChildrenValues()).reduce((a, b) => a + b, 0);
        });
        const jobs = await q.addBulk(Array.from({ length: 10 }, () => ({ name: 'x', data: {} })));
        const values = await Promise.all(jobs.map((j) => j.waitUntilFinished(e, 20000)));
        t.assert.deepEqual(values, Array(10).fill(12));
    },

    /* What reads the server itself: CLIENT LIST, INFO, metrics in hashes and lists. */
    async insight(t) {
        const q = await queue(t, 'insight');
        const w = await worker(t, 'insight', async () => 1, { name: 'w1', metrics: { maxDataPoints: 60 } });
        t.assert.equal(w.isRunning(), true);
        await q.addBulk(Array.from({ length: 10 }, () => ({ name: 'x', data: {} })));
        await t.until('10 jobs', async () => await q.getCompletedCount() === 10);
        t.assert.equal((await q.getMetrics('completed')).meta.count, 10);
        await t.until('the worker in the list', async () => (await q.getWorkers()).length === 1);
        t.assert.equal(await q.getWorkersCount(), 1);
        t.assert.match(await q.exportPrometheusMetrics(), /bullmq_job_count\{queue="insight", state="completed"\} 10/);
        t.assert.ok((await q.getMeta()));
        const { length } = await q.getJobs(['completed'], 0, 4, true);
        t.assert.equal(length, 5);
    },

    /* Workers in three processes; one of them is killed in the middle: no job is lost. */
    async processes(t) {
        const q = await queue(t, 'procs');
        const total = 300;
        const done = [0, 0, 0];
        const children = done.map((_, i) => {
            const child = fork(__filename, ['worker', 'procs', String(t.port)]);
            child.on('message', () => done[i]++);
            t.later(() => child.kill('SIGKILL'));
            return child;
        });
        await q.addBulk(Array.from({ length: total }, (_, i) => ({ name: 'x', data: { i } })));
        await t.until('the first jobs', () => done[0] >= 10, 20000);
        children[0].kill('SIGKILL');
        await t.until('all jobs', async () => await q.getCompletedCount() === total, 40000);
        const { wait, active, failed } = await counts(q);
        t.assert.deepEqual([wait, active, failed], [0, 0, 0]);
        const redis = await t.ioredis();
        const ran = await redis.hgetall('ran');
        t.assert.equal(Object.keys(ran).length, total);
        t.assert.ok(Object.values(ran).reduce((a, b) => a + Number(b), 0) <= total + 5);
    },
};

/* The program of the processes of `processes`. */
async function workerProcess(name, port) {
    const Redis = require('ioredis');
    const redis = new Redis({ host: '127.0.0.1', port });
    const w = new Worker(name, async (job) => {
        await redis.hincrby('ran', job.data.i, 1);
        await new Promise((resolve) => setTimeout(resolve, 10));
    }, { connection: { host: '127.0.0.1', port }, concurrency: 5, lockDuration: 1000, stalledInterval: 500,
        maxStalledCount: 3 });
    w.on('completed', () => process.send('done'));
    w.on('error', () => {});
    process.on('disconnect', () => process.exit(0));
}

if (require.main === module) {
    workerProcess(process.argv[3], Number(process.argv[4]));
}

module.exports = { scenarios, clients: ['ioredis', 'node-redis'], only: { processes: ['ioredis'] } };
