import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { silentLog } from '../telemetry/log.ts';
import { startProxy } from '../testing/proxy.ts';
import { hasRedis, startRedis } from '../testing/redis.ts';
import { gateway, mirrorOf, putUntilBack, until } from '../testing/store-mirror.ts';
import { createRedisStore } from './redis.ts';
import type { Store } from './store.ts';

const skip = hasRedis() ? false : 'needs redis-server';

describe('store on a Redis that refuses or is not there', { skip }, () => {
  it('says why when the memory limit is reached, and reads go on', async () => {
    const redis = await startRedis({ args: ['--maxmemory', '3mb'] });
    const store = createRedisStore({ url: redis.url, prefix: 't', log: silentLog() });
    try {
      await store.put('gateway', 'first', gateway('first'));
      const filling = async (): Promise<void> => {
        for (let at = 0; at < 200; at += 1) {
          await store.put('gateway', `g${at}`, gateway('x'.repeat(100_000)));
        }
      };
      await assert.rejects(filling(), {
        code: 'StoreUnavailable',
        message: 'store is unavailable: Redis refuses writes as its memory limit is reached',
      });
      assert.equal((await store.get('gateway', 'first'))?.record.name, 'first');
    } finally {
      await store.close();
      await redis.stop();
    }
  });

  it('fails fast while there is no Redis and works once it comes', async () => {
    const redis = await startRedis();
    await redis.kill();
    const store = createRedisStore({ url: redis.url, prefix: 't', log: silentLog() });
    const mirror = mirrorOf(store);
    try {
      await assert.rejects(store.ping(), {
        code: 'StoreUnavailable',
        hint: 'check that Redis runs and that redisUrl points to it',
      });
      await redis.start();
      await putUntilBack(store, 'now');
      await until('mirror', () => mirror.records.has('now'));
    } finally {
      await mirror.stop();
      await store.close();
      await redis.stop();
    }
  });

  it('fails in time while Redis stands still, and the watch goes on afterwards', async () => {
    const redis = await startRedis();
    const store = createRedisStore({ url: redis.url, prefix: 't', log: silentLog() });
    const mirror = mirrorOf(store);
    try {
      await store.put('gateway', 'before', gateway('before'));
      await until('before', () => mirror.records.has('before'));
      process.kill(redis.pid, 'SIGSTOP');
      const startedMs = performance.now();
      await assert.rejects(store.put('gateway', 'still', gateway('still')), {
        code: 'StoreUnavailable',
        message: 'store is unavailable: Redis did not answer in time',
      });
      assert.ok(performance.now() - startedMs < 4_000, 'fails in time');
      process.kill(redis.pid, 'SIGCONT');
      await putUntilBack(store, 'after');
      await until('after', () => mirror.records.has('after'));
      assert.equal(mirror.resets, 0);
    } finally {
      process.kill(redis.pid, 'SIGCONT');
      await mirror.stop();
      await store.close();
      await redis.stop();
    }
  });

  it('says why when the disk is full, reads on, and writes again once there is room', async (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'hearth-small-'));
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', dir]).status !== 0) {
      rmSync(dir, { recursive: true });
      t.skip('needs root to mount a small file system');
      return;
    }
    const redis = await startRedis({ args: ['--dir', dir, '--appendfsync', 'everysec'] });
    const store = createRedisStore({ url: redis.url, prefix: 't', log: silentLog() });
    const ballast = join(dir, 'ballast');
    try {
      await store.put('gateway', 'first', gateway('first'));
      writeFileSync(ballast, Buffer.alloc(900_000));
      const { pid } = redis;
      const filling = async (): Promise<void> => {
        for (let at = 0; at < 300; at += 1) {
          await store.put('gateway', 'big', gateway('x'.repeat(20_000)));
        }
      };
      await assert.rejects(filling(), {
        code: 'StoreUnavailable',
        message: 'store is unavailable: Redis refuses writes as it cannot write to its disk',
      });
      assert.equal((await store.get('gateway', 'first'))?.record.name, 'first');
      rmSync(ballast);
      await putUntilBack(store, 'later');
      assert.equal((await store.get('gateway', 'later'))?.record.name, 'later');
      process.kill(pid, 0);
    } finally {
      await store.close();
      await redis.stop();
      spawnSync('umount', [dir]);
      rmSync(dir, { recursive: true });
    }
  });

  it('leaves a connection that lost its other end without a word', async () => {
    const redis = await startRedis();
    const proxy = await startProxy(redis.url);
    const store = createRedisStore({ url: proxy.url, prefix: 't', log: silentLog() });
    const mirror = mirrorOf(store);
    try {
      await store.put('gateway', 'before', gateway('before'));
      await until('before', () => mirror.records.has('before'));
      proxy.freeze();
      await assert.rejects(store.ping(), { code: 'StoreUnavailable' });
      await putUntilBack(store, 'after');
      await until('after', () => mirror.records.has('after'));
    } finally {
      await mirror.stop();
      await store.close();
      proxy.stop();
      await redis.stop();
    }
  });

  it('refuses an address that is no URL', () => {
    const make = (): Store => createRedisStore({ url: 'redis', prefix: 't', log: silentLog() });
    assert.throws(make, { code: 'ConfigInvalid' });
  });
});
