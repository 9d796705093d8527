import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { LIMITS } from '../lib/limits.ts';
import { createRedisStore } from '../lib/store/redis.ts';
import { silentLog } from '../lib/telemetry/log.ts';
import { hasRedis, startRedis } from '../lib/testing/redis.ts';
import { Leadership } from './leadership.ts';
import { decideLease, leaseEndMs } from './lease.ts';

describe('decideLease', () => {
  const stored = { record: { leader: 'other' }, version: 7 };
  const rows = [
    ['takes what nobody has', undefined, undefined, 0, { kind: 'take', expectVersion: 0 }],
    [
      'renews its own',
      { record: { leader: 'me' }, version: 3 },
      undefined,
      0,
      { kind: 'take', expectVersion: 3 },
    ],
    ['waits when it sees another for the first time', stored, undefined, 1e9, { kind: 'wait' }],
    ['waits while the other renews', stored, { version: 6, sinceMs: 0 }, 1e9, { kind: 'wait' }],
    [
      'waits out the whole lease of the other',
      stored,
      { version: 7, sinceMs: 0 },
      LIMITS.leaseMs,
      { kind: 'wait' },
    ],
    [
      'takes what the other has not renewed',
      stored,
      { version: 7, sinceMs: 0 },
      LIMITS.leaseMs + 1,
      { kind: 'take', expectVersion: 7 },
    ],
  ] as const;
  for (const [name, record, seen, nowMs, step] of rows) {
    it(name, () => {
      assert.deepEqual(decideLease({ me: 'me', stored: record, seen }, nowMs), step);
    });
  }

  it('ends for its holder before another may take it', () => {
    assert.ok(leaseEndMs(0) < LIMITS.leaseMs);
  });
});

describe('Leadership', { skip: hasRedis() ? false : 'needs redis-server' }, () => {
  it('has one leader of three, and another as soon as the first gives up', async () => {
    const redis = await startRedis();
    const store = createRedisStore({ url: redis.url, prefix: 't', log: silentLog() });
    const told: string[] = [];
    const schedulers = ['a', 'b', 'c'].map((name) => {
      const stop = new AbortController();
      const leadership = new Leadership({
        store,
        log: silentLog(),
        onGained: async () => void told.push(`${name} gained`),
        onLost: async () => void told.push(`${name} lost`),
      });
      return { name, stop, leadership, running: leadership.run(stop.signal) };
    });
    const leaders = () => schedulers.filter(({ leadership }) => leadership.isLeader);
    try {
      for (let tries = 0; tries < 100 && leaders().length === 0; tries += 1) await delay(20);
      await delay(LIMITS.leaseRenewMs * 2);
      assert.equal(leaders().length, 1);
      const [first] = leaders();
      assert.ok(first);
      first.stop.abort();
      await first.running;
      for (let tries = 0; tries < 200 && leaders().length === 0; tries += 1) await delay(20);
      assert.equal(leaders().length, 1);
      const next = leaders()[0]?.name;
      assert.notEqual(next, first.name);
      assert.deepEqual(told, [`${first.name} gained`, `${first.name} lost`, `${next} gained`]);
    } finally {
      for (const { stop } of schedulers) stop.abort();
      await Promise.all(schedulers.map(({ running }) => running));
      await store.close();
      await redis.stop();
    }
  });
});
