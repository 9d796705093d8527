import assert from 'node:assert/strict';
import { test } from 'node:test';
import { demandOf, isDemandDue } from './demand.ts';
import { Pool } from './pool/pool.ts';

function demand(pool: Pool, nowMs: number, lastRequestMs = 0) {
  const names = { gateway: 'g1', functionName: 'hello', revisionId: 'hello-00001' };
  return demandOf({ ...names, pool, epochMs: 1_000_000, lastRequestMs, nowMs });
}

test('demandOf() tells leases and idleness in Unix time', () => {
  const pool = new Pool();
  pool.put({ id: 'a', concurrency: 1 }, 10);
  pool.put({ id: 'b', concurrency: 1 }, 20);
  pool.acquire({ nowMs: 30, deadlineMs: 99 });
  const record = demand(pool, 40, 30);
  assert.equal(record.running, 1);
  assert.deepEqual(record.instances, {
    a: { leases: 1, idleSinceMs: 1_000_010 },
    b: { leases: 0, idleSinceMs: 1_000_020 },
  });
  assert.equal(record.lastRequestAtMs, 1_000_030);
  assert.equal(record.updatedAtMs, 1_000_040);
});

test('isDemandDue() is true on a change, and now and then while busy', () => {
  const pool = new Pool();
  const idle = demand(pool, 0);
  assert.equal(isDemandDue(undefined, idle), true);
  assert.equal(isDemandDue(idle, demand(pool, 60_000)), false);
  pool.acquire({ nowMs: 0, deadlineMs: 99 });
  const busy = demand(pool, 0);
  assert.equal(isDemandDue(idle, busy), true);
  assert.equal(isDemandDue(busy, demand(pool, 1_000)), false);
  assert.equal(isDemandDue(busy, demand(pool, 2_000)), true);
});
