/* one.js - runs one scenario against one server.
 *
 *     node one.js <program> <scenario> <ioredis|node-redis> <port>
 *     node one.js --list <program>          "scenario client" lines
 *
 * A program (bullmq.js, …) exports scenarios = { name: async (t) => … }, and clients, the client
 * libraries that each of them is run with (only = { scenario: [client] } where it differs). A scenario
 * fails by throwing. The database is emptied first; what a scenario opened through `t` is closed
 * after it. NODE_PATH leads to the packages. Exit 0: passed.
 */
'use strict';
const assert = require('node:assert/strict');

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

class Scenario {
    constructor(client, port) {
        this.client = client;
        this.port = port;
        this.assert = assert;
        this.sleep = sleep;
        this.closers = [];
    }

    /* Closed in reverse order when the scenario has ended. */
    later(close) {
        this.closers.push(close);
    }

    async ioredis(options = {}) {
        const Redis = require('ioredis');
        const redis = new Redis({ host: '127.0.0.1', port: this.port, ...options });
        redis.on('error', () => {});
        this.later(() => redis.disconnect());
        if (!options.lazyConnect) {
            /* Ready: a SUBSCRIBE before that races with the INFO by which ioredis finds out. */
            await new Promise((resolve) => redis.once('ready', resolve));
        }
        return redis;
    }

    async nodeRedis(options = {}) {
        const { createClient } = require('redis');
        const redis = createClient({ socket: { host: '127.0.0.1', port: this.port }, ...options });
        redis.on('error', () => {});
        await redis.connect();
        this.later(() => redis.isOpen && redis.destroy());
        return redis;
    }

    /* A connection of the client library that this run is about. */
    redis(options) {
        return this.client === 'ioredis' ? this.ioredis(options) : this.nodeRedis(options);
    }

    /* Waits until the function returns something true, at most so long; then fails. */
    async until(what, f, limitMs = 10000) {
        const end = Date.now() + limitMs;
        for (;;) {
            const value = await f();
            if (value) {
                return value;
            }
            if (Date.now() > end) {
                assert.fail(`waited ${limitMs} ms for: ${what}`);
            }
            await sleep(10);
        }
    }

    async close() {
        for (const close of this.closers.reverse()) {
            await Promise.race([Promise.resolve().then(close).catch(() => {}), sleep(3000)]);
        }
    }
}

async function main() {
    const [program, name, client, port] = process.argv.slice(2);
    if (program === '--list') {
        const { scenarios, clients, only = {} } = require(`./${name}`);
        for (const scenario of Object.keys(scenarios)) {
            for (const c of only[scenario] || clients) {
                console.log(`${scenario} ${c}`);
            }
        }
        return;
    }
    const t = new Scenario(client, Number(port));
    const admin = await t.ioredis();
    await admin.flushall();
    try {
        await require(`./${program}`).scenarios[name](t);
        await t.close();
        process.exit(0);
    } catch (error) {
        console.error(error);
        process.exit(1);
    }
}

process.on('unhandledRejection', (error) => {
    console.error('unhandled rejection:', error);
    process.exit(1);
});
main();
