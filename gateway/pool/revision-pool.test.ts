import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { HearthError } from '../../lib/errors.ts';
import { LIMITS } from '../../lib/limits.ts';
import type { InstanceRecord } from '../../lib/records.ts';
import { defaultSpec } from '../../lib/spec/defaults.ts';
import type { FunctionSpec } from '../../lib/spec/spec.ts';
import { recordsOf } from '../testing/platform.ts';
import type { Lease } from './pool.ts';
import { REROUTE, RevisionPool, type Waiting } from './revision-pool.ts';

/** A pool whose clock and starts are in the test's hand. */
class Bench {
  nowMs = 1000;
  readonly starts: PromiseWithResolvers<InstanceRecord>[] = [];
  readonly drained: string[] = [];
  readonly pool: RevisionPool;

  constructor(t: TestContext, change: Partial<FunctionSpec> = {}) {
    const { revision } = recordsOf({ ...defaultSpec('hello'), ...change }, 1, []);
    this.pool = new RevisionPool({
      revision,
      start: () => {
        const start = Promise.withResolvers<InstanceRecord>();
        this.starts.push(start);
        return start.promise;
      },
      onStarted: (record) => this.pool.put(record),
      onDrained: (id) => this.drained.push(id),
      now: () => this.nowMs,
    });
    t.after(() => this.pool.close());
  }

  wait(): Promise<Lease> {
    const got = this.pool.acquire(this.nowMs + 60_000) as Waiting;
    assert.ok('cancel' in got);
    got.lease.catch(() => undefined);
    return got.lease;
  }
}

function instance(id: string, concurrency: number): InstanceRecord {
  return { id, concurrency } as InstanceRecord;
}

function codeOf(error: unknown): string {
  return error instanceof HearthError ? error.code : String(error);
}

test('waiters start what they need, and no more', async (t) => {
  const bench = new Bench(t, { concurrency: 2 });
  const waiting = [bench.wait(), bench.wait(), bench.wait()];
  assert.equal(bench.starts.length, 2);
  bench.starts[0]?.resolve(instance('a', 2));
  const [first, second] = await Promise.all(waiting.slice(0, 2));
  assert.deepEqual([first?.instance.id, second?.instance.id], ['a', 'a']);
  bench.starts[1]?.resolve(instance('b', 2));
  assert.equal((await waiting[2])?.instance.id, 'b');
});

test('a failed start is the answer only when nothing else can come', async (t) => {
  const bench = new Bench(t, { concurrency: 1 });
  const waiting = [bench.wait(), bench.wait()];
  bench.starts[0]?.reject(new HearthError('StartFailed', 'exited 1'));
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(bench.pool.pool.waiting, 2);
  bench.starts[1]?.reject(new HearthError('StartFailed', 'exited 1'));
  for (const lease of waiting) await assert.rejects(lease, { code: 'StartFailed' });
});

test('starts that keep failing are not tried at once; an instance ends that', async (t) => {
  const bench = new Bench(t);
  for (let i = 0; i < 3; i++) {
    const lease = bench.wait();
    bench.starts.at(-1)?.reject(new HearthError('StartFailed', 'exited 1'));
    await assert.rejects(lease, { code: 'StartFailed' });
    bench.nowMs += i === 2 ? 0 : 10_000;
  }
  assert.throws(
    () => bench.pool.acquire(bench.nowMs + 1000),
    (error) => error instanceof HearthError && error.code === 'FunctionUnhealthy',
  );
  assert.equal(bench.starts.length, 3);
  bench.pool.put(instance('a', 1));
  assert.ok(!('cancel' in bench.pool.acquire(bench.nowMs + 1000)));
});

test('a waiter leaves at its deadline, or when it is called off', async (t) => {
  const bench = new Bench(t);
  const late = bench.wait();
  const got = bench.pool.acquire(bench.nowMs + 60_000) as Waiting;
  got.cancel(new HearthError('Interrupted', 'gone'));
  await assert.rejects(got.lease, { code: 'Interrupted' });
  bench.nowMs += LIMITS.queueTimeoutMs;
  assert.equal(codeOf(await late.catch((error: unknown) => error)), 'QueueTimeout');
});

test('the waiting room has a limit', async (t) => {
  const bench = new Bench(t);
  for (let i = 0; i < LIMITS.waitingPerRevisionMax; i++) void bench.wait();
  assert.throws(
    () => bench.pool.acquire(bench.nowMs + 1000),
    (error) => error instanceof HearthError && error.code === 'QueueFull',
  );
  bench.pool.dismiss(REROUTE);
  assert.equal(bench.pool.pool.waiting, 0);
});

test('the last lease of a draining instance is told', (t) => {
  const bench = new Bench(t);
  bench.pool.put(instance('a', 2));
  const leases = [bench.pool.acquire(9e9), bench.pool.acquire(9e9)] as Lease[];
  bench.pool.pool.drain('a');
  for (const lease of leases) {
    assert.deepEqual(bench.drained, []);
    bench.pool.release(lease);
  }
  assert.deepEqual(bench.drained, ['a']);
});
