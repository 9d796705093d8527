import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { HearthError } from '../errors.ts';
import { silentLog } from '../telemetry/log.ts';
import { hasRedis, startRedis, type TestRedis } from '../testing/redis.ts';
import { gateway, mirrorOf, putUntilBack, until } from '../testing/store-mirror.ts';
import { createRedisStore } from './redis.ts';
import type { Store } from './store.ts';

const skip = hasRedis() ? false : 'needs redis-server';

describe('store on Redis', { skip }, () => {
  let redis: TestRedis;
  let store: Store;
  let prefixes = 0;
  const newStore = (): Store =>
    createRedisStore({ url: redis.url, prefix: `t${++prefixes}`, log: silentLog() });
  before(async () => {
    redis = await startRedis();
    store = newStore();
  });
  after(async () => {
    await store?.close();
    await redis?.stop();
  });

  it('gets what was put, with its version', async () => {
    const version = await store.put('gateway', 'g1', gateway('g1'), { expectVersion: 0 });
    assert.deepEqual(await store.get('gateway', 'g1'), { version, record: gateway('g1') });
    assert.equal(await store.get('gateway', 'none'), undefined);
    const next = await store.put('gateway', 'g1', gateway('g1', 5), { expectVersion: version });
    assert.ok(next > version);
    assert.deepEqual(await store.list('gateway'), [{ version: next, record: gateway('g1', 5) }]);
  });

  it('refuses a stale writer with Conflict and says the stored version', async () => {
    const version = await store.put('gateway', 'g2', gateway('g2'));
    for (const expectVersion of [0, version + 1]) {
      await assert.rejects(store.put('gateway', 'g2', gateway('g2'), { expectVersion }), {
        code: 'Conflict',
        message: `cannot write gateway "g2" as version ${expectVersion} was expected: its version is ${version}`,
      });
    }
    await assert.rejects(store.remove('gateway', 'g2', { expectVersion: version + 1 }), {
      code: 'Conflict',
    });
    assert.equal(await store.remove('gateway', 'g2', { expectVersion: version }), true);
    assert.equal(await store.remove('gateway', 'g2'), false);
  });

  it('lets exactly one of 50 parallel writers replace a version', async () => {
    const version = await store.put('gateway', 'race', gateway('race'));
    const outcomes = await Promise.allSettled(
      Array.from({ length: 50 }, (_, at) =>
        store.put('gateway', 'race', gateway('race', at), { expectVersion: version }),
      ),
    );
    const won = outcomes.filter(({ status }) => status === 'fulfilled');
    const lost = outcomes.filter(({ status }) => status === 'rejected');
    assert.equal(won.length, 1);
    for (const { reason } of lost as PromiseRejectedResult[]) {
      assert.equal((reason as HearthError).code, 'Conflict');
    }
  });

  it('counts to 50 with 50 parallel writers that repeat on Conflict', async () => {
    await store.put('gateway', 'count', gateway('count', 0));
    const addOne = async (): Promise<void> => {
      for (;;) {
        const read = await store.get('gateway', 'count');
        assert.ok(read);
        const { record, version } = read;
        try {
          const next = { ...record, heartbeatAtMs: record.heartbeatAtMs + 1 };
          await store.put('gateway', 'count', next, { expectVersion: version });
          return;
        } catch (error) {
          if (!(error instanceof HearthError) || error.code !== 'Conflict') throw error;
        }
      }
    };
    await Promise.all(Array.from({ length: 50 }, addOne));
    assert.equal((await store.get('gateway', 'count'))?.record.heartbeatAtMs, 50);
  });

  it('keeps ids and values that look like syntax', async () => {
    const odd = newStore();
    const id = '__proto__';
    await odd.put('gateway', id, gateway('%d {"version":7} \u2028 é'));
    const mirror = mirrorOf(odd);
    await until('ready', () => mirror.isReady);
    assert.equal(mirror.seen[0]?.id, id);
    assert.equal((await odd.get('gateway', id))?.record.name, '%d {"version":7} \u2028 é');
    await mirror.stop();
    await odd.close();
  });

  it('watch gives all records, then every change in order, of the kinds asked for', async () => {
    const own = newStore();
    await own.put('gateway', 'a', gateway('a', 1));
    const mirror = mirrorOf(own);
    await until('ready', () => mirror.isReady);
    await own.put('gateway', 'a', gateway('a', 2));
    await own.put('node', 'n', {} as never);
    await own.put('gateway', 'b', gateway('b', 3));
    await own.remove('gateway', 'a');
    await until('removal', () => mirror.seen.length >= 4);
    const told = mirror.seen.map((change) => [change.kind, change.id, change.record !== undefined]);
    assert.deepEqual(told, [
      ['gateway', 'a', true],
      ['gateway', 'a', true],
      ['gateway', 'b', true],
      ['gateway', 'a', false],
    ]);
    await mirror.stop();
    await own.close();
  });

  it('watch misses nothing and repeats nothing while 200 puts race with its snapshot', async () => {
    const own = newStore();
    const writes = Array.from({ length: 200 }, (_, at) =>
      own.put('gateway', `g${at % 20}`, gateway(`g${at % 20}`, at)),
    );
    const mirror = mirrorOf(own);
    await Promise.all(writes);
    const all = await own.list('gateway');
    const isSame = () =>
      all.every(({ record, version }) => mirror.records.get(record.name)?.version === version);
    await until('mirror is equal', isSame);
    const versions = mirror.seen.map(({ id, version }) => `${id}@${version}`);
    assert.equal(new Set(versions).size, versions.length);
    assert.equal(mirror.resets, 0);
    await mirror.stop();
    await own.close();
  });

  it('watch ends when its signal aborts or the store closes', async () => {
    const own = newStore();
    const mirror = mirrorOf(own);
    await mirror.stop();
    const second = mirrorOf(own);
    await until('ready', () => second.isReady);
    await own.close();
    await second.stop();
  });

  it('watch survives kill -9 and restart of Redis without a reset when nothing is lost', async () => {
    const own = newStore();
    await own.put('gateway', 'before', gateway('before'));
    const mirror = mirrorOf(own);
    await until('ready', () => mirror.isReady);
    await own.put('gateway', 'last', gateway('last'));
    await until('last', () => mirror.records.has('last'));
    await redis.kill();
    const startedMs = performance.now();
    await assert.rejects(own.put('gateway', 'lost', gateway('lost')), { code: 'StoreUnavailable' });
    await assert.rejects(own.get('gateway', 'last'), { code: 'StoreUnavailable' });
    assert.ok(performance.now() - startedMs < 5_000, 'fails fast');
    await redis.start();
    await putUntilBack(own, 'after');
    await until('after', () => mirror.records.has('after'));
    assert.equal(mirror.resets, 0);
    assert.deepEqual([...mirror.records.keys()].sort(), ['after', 'before', 'last']);
    await mirror.stop();
    await own.close();
  });

  it('watch starts again with onReset when the history was trimmed meanwhile', async () => {
    const own = newStore();
    await own.put('gateway', 'gone', gateway('gone'));
    const mirror = mirrorOf(own);
    await until('ready', () => mirror.isReady);
    // What a long absence looks like: the entry where the watcher stood is no more.
    const raw = createRedisStore({ url: redis.url, prefix: `t${prefixes}`, log: silentLog() });
    await raw.remove('gateway', 'gone');
    await until('removal', () => mirror.records.size === 0);
    await redisCommand(redis, ['DEL', `t${prefixes}:changes`]);
    await redisCommand(redis, ['CLIENT', 'KILL', 'TYPE', 'normal']);
    await putUntilBack(raw, 'new');
    await until('reset', () => mirror.resets === 1 && mirror.records.has('new'));
    await mirror.stop();
    await own.close();
    await raw.close();
  });

  it('watch starts again when a version is missing in the stream', async () => {
    const own = newStore();
    const mirror = mirrorOf(own);
    await until('ready', () => mirror.isReady);
    await redisCommand(redis, ['INCR', `t${prefixes}:version`]);
    await own.put('gateway', 'x', gateway('x'));
    await until('reset', () => mirror.resets === 1 && mirror.records.has('x'));
    await mirror.stop();
    await own.close();
  });

  it('gives deploy events in order, after an id, and waits for the next', async () => {
    await store.appendDeployEvent('b-1', { type: 'warning', text: 'one' });
    await store.appendDeployEvent('b-1', { type: 'warning', text: 'two' });
    const all = await store.readDeployEvents('b-1', { afterId: '0', blockMs: 0 });
    assert.deepEqual(
      all.map(({ event }) => event.type === 'warning' && event.text),
      ['one', 'two'],
    );
    assert.ok((all[0]?.event.timeMs ?? 0) > 0);
    const afterId = all[1]?.id ?? '';
    assert.deepEqual(await store.readDeployEvents('b-1', { afterId, blockMs: 30 }), []);
    const waiting = store.readDeployEvents('b-1', { afterId, blockMs: 10_000 });
    await delay(50);
    await store.appendDeployEvent('b-1', { type: 'warning', text: 'three' });
    assert.equal((await waiting).length, 1);
    await assert.rejects(store.readDeployEvents('b-1', { afterId: '$', blockMs: 0 }), {
      code: 'BadRequest',
    });
  });

  it('ends a waiting reader when its signal aborts, and lets readers wait side by side', async () => {
    const stop = new AbortController();
    const options = { afterId: '0', blockMs: 20_000, signal: stop.signal };
    const readers = Array.from({ length: 10 }, () => store.readDeployEvents('b-none', options));
    const other = store.readDeployEvents('b-other', { afterId: '0', blockMs: 20_000 });
    await delay(50);
    await store.appendDeployEvent('b-other', { type: 'warning', text: 'x' });
    assert.equal((await other).length, 1);
    stop.abort();
    for (const read of await Promise.all(readers)) assert.deepEqual(read, []);
  });

  it('answers ping', async () => {
    await store.ping();
  });
});

/** One raw command over a connection of its own, by the inline protocol. */
async function redisCommand(redis: TestRedis, words: readonly string[]): Promise<void> {
  const socket = connect({ path: redis.url.slice('unix://'.length) });
  socket.on('error', () => undefined);
  socket.write(`${words.join(' ')}\r\n`);
  await Promise.race([once(socket, 'data'), once(socket, 'close')]);
  socket.destroy();
}
