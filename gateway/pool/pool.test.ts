import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Grant, type Lease, Pool } from './pool.ts';

const ask = { nowMs: 0, deadlineMs: 1000 };

test('acquire() takes the least loaded instance', () => {
  const pool = new Pool();
  pool.put({ id: 'a', concurrency: 2 }, 0);
  pool.put({ id: 'b', concurrency: 2 }, 0);
  const ids = [1, 2, 3, 4].map(() => leaseOf(pool).instance.id);
  assert.deepEqual(ids, ['a', 'b', 'a', 'b']);
  assert.equal(pool.acquire(ask).kind, 'wait');
});

test('release() hands the slot to the oldest waiter, once', () => {
  const pool = new Pool();
  pool.put({ id: 'a', concurrency: 1 }, 0);
  const lease = leaseOf(pool);
  assert.deepEqual(pool.acquire(ask), { kind: 'wait', ticket: 1 });
  assert.deepEqual(pool.acquire(ask), { kind: 'wait', ticket: 2 });
  assert.deepEqual(
    pool.release(lease, 5).map((grant) => grant.ticket),
    [1],
  );
  assert.deepEqual(pool.release(lease, 5), []);
  assert.equal(pool.running, 1);
});

test('the waiting room is bounded', () => {
  const pool = new Pool({ waitingMax: 1 });
  assert.equal(pool.acquire(ask).kind, 'wait');
  assert.equal(pool.acquire(ask).kind, 'full');
});

test('expire() takes out only those whose deadline has passed', () => {
  const pool = new Pool();
  pool.acquire({ nowMs: 0, deadlineMs: 10 });
  pool.acquire({ nowMs: 0, deadlineMs: 20 });
  assert.deepEqual(pool.expire(10), [1]);
  assert.equal(pool.waiting, 1);
  assert.equal(pool.cancel(1), false);
  assert.equal(pool.cancel(2), true);
});

test('a draining instance takes no lease and is not revived by a late record', () => {
  const pool = new Pool();
  pool.put({ id: 'a', concurrency: 1 }, 0);
  pool.drain('a');
  assert.deepEqual(pool.put({ id: 'a', concurrency: 1 }, 0), []);
  assert.equal(pool.acquire(ask).kind, 'wait');
});

test('a shunned instance is taken again when it is due', () => {
  const pool = new Pool();
  pool.put({ id: 'a', concurrency: 1 }, 0);
  pool.shun('a', 100);
  assert.equal(pool.acquire(ask).kind, 'wait');
  assert.deepEqual(pool.pump(99), []);
  assert.equal(pool.pump(100).length, 1);
});

type Step =
  | { do: 'acquire' }
  | { do: 'release'; pick: number; twice: boolean }
  | { do: 'put'; id: number; concurrency: number }
  | { do: 'drain'; id: number }
  | { do: 'remove'; id: number }
  | { do: 'shun'; id: number }
  | { do: 'cancel'; pick: number }
  | { do: 'tick'; ms: number };

const id = fc.nat({ max: 4 });
const steps = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: fc.constant<Step>({ do: 'acquire' }) },
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constant('release' as const),
        pick: fc.nat({ max: 99 }),
        twice: fc.boolean(),
      }),
    },
    fc.record({ do: fc.constant('put' as const), id, concurrency: fc.integer({ min: 1, max: 3 }) }),
    fc.record({ do: fc.constant('drain' as const), id }),
    fc.record({ do: fc.constant('remove' as const), id }),
    fc.record({ do: fc.constant('shun' as const), id }),
    fc.record({ do: fc.constant('cancel' as const), pick: fc.nat({ max: 99 }) }),
    fc.record({ do: fc.constant('tick' as const), ms: fc.integer({ min: 1, max: 40 }) }),
  ),
  { maxLength: 120 },
);

test('a pool never over-leases, releases once, loses no waiter and is first in, first out', () => {
  fc.assert(
    fc.property(steps, (list) => {
      const model = new Model();
      for (const step of list) model.apply(step);
      model.check();
    }),
    { numRuns: 500 },
  );
});

/** Drives a pool and keeps the books that it must agree with. */
class Model {
  readonly pool = new Pool({ waitingMax: 8 });
  readonly held: Lease[] = [];
  readonly leasesOf = new Map<object, number>();
  /** Tickets in order of arrival that have neither been granted, cancelled nor expired. */
  waiting: number[] = [];
  nowMs = 0;

  apply(step: Step): void {
    if (step.do === 'acquire') this.acquire();
    else if (step.do === 'release') this.release(step.pick, step.twice);
    else if (step.do === 'put')
      this.take(this.pool.put({ ...step, id: `i${step.id}` }, this.nowMs));
    else if (step.do === 'drain') this.pool.drain(`i${step.id}`);
    else if (step.do === 'remove') this.pool.remove(`i${step.id}`);
    else if (step.do === 'shun') this.pool.shun(`i${step.id}`, this.nowMs + 20);
    else if (step.do === 'cancel') this.cancel(step.pick);
    else if (step.do === 'tick') this.tick(step.ms);
    this.check();
  }

  acquire(): void {
    const got = this.pool.acquire({ nowMs: this.nowMs, deadlineMs: this.nowMs + 50 });
    if (got.kind === 'lease') {
      assert.equal(this.waiting.length, 0, 'nobody is overtaken');
      this.hold(got.lease);
    } else if (got.kind === 'wait') this.waiting.push(got.ticket);
    else assert.equal(this.waiting.length, 8);
  }

  release(pick: number, twice: boolean): void {
    const lease = this.held.splice(pick % Math.max(1, this.held.length), 1)[0];
    if (lease === undefined) return;
    this.leasesOf.set(lease.instance, (this.leasesOf.get(lease.instance) ?? 0) - 1);
    this.take(this.pool.release(lease, this.nowMs));
    if (twice) assert.deepEqual(this.pool.release(lease, this.nowMs), []);
  }

  cancel(pick: number): void {
    const ticket = this.waiting[pick % Math.max(1, this.waiting.length)];
    if (ticket === undefined) return;
    assert.equal(this.pool.cancel(ticket), true);
    this.waiting = this.waiting.filter((other) => other !== ticket);
  }

  tick(ms: number): void {
    this.nowMs += ms;
    const expired = new Set(this.pool.expire(this.nowMs));
    for (const ticket of expired) assert.ok(this.waiting.includes(ticket));
    this.waiting = this.waiting.filter((ticket) => !expired.has(ticket));
    this.take(this.pool.pump(this.nowMs));
  }

  take(grants: Grant[]): void {
    for (const grant of grants) {
      assert.equal(grant.ticket, this.waiting.shift(), 'oldest first');
      this.hold(grant.lease);
    }
  }

  hold(lease: Lease): void {
    this.held.push(lease);
    const count = (this.leasesOf.get(lease.instance) ?? 0) + 1;
    this.leasesOf.set(lease.instance, count);
    assert.ok(count <= lease.instance.concurrency, 'never more leases than concurrency');
    assert.equal(lease.instance.state, 'ready');
  }

  check(): void {
    assert.equal(this.pool.running, this.held.length);
    assert.equal(this.pool.waiting, this.waiting.length);
    for (const instance of this.pool.instances) {
      assert.equal(instance.leases, this.leasesOf.get(instance) ?? 0);
      const free = instance.state === 'ready' && instance.leases < instance.concurrency;
      const due = instance.shunnedUntilMs <= this.nowMs;
      assert.ok(!(free && due && this.waiting.length > 0), 'no waiter beside a free slot');
    }
  }
}

function leaseOf(pool: Pool): Lease {
  const got = pool.acquire(ask);
  assert.equal(got.kind, 'lease');
  return (got as { lease: Lease }).lease;
}
