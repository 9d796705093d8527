import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { desiredCount, type IdleCandidate, pickSurplus } from './scale.ts';

describe('desiredCount', () => {
  const rows = [
    // running, waiting, concurrency, min, max → desired
    [0, 0, 50, 0, 10, 0],
    [0, 0, 50, 2, 10, 2],
    [1, 0, 50, 0, 10, 1],
    [50, 0, 50, 0, 10, 1],
    [50, 1, 50, 0, 10, 2],
    [100, 20, 50, 0, 10, 3],
    [0, 1000, 1, 0, 10, 10],
    [3, 4, 1, 0, 100, 7],
    [1, 0, 50, 5, 10, 5],
    [1, 0, 50, 0, 0, 0],
    [5, 0, 0, 0, 10, 5],
  ] as const;
  for (const [running, waiting, concurrency, min, max, desired] of rows) {
    const name = `${running}+${waiting} requests at ${concurrency} in [${min}, ${max}]`;
    it(`${name} need ${desired}`, () => {
      const scale = { min, max, idleMs: 60_000 };
      assert.equal(desiredCount({ running, waiting }, { concurrency, scale }), desired);
    });
  }
});

describe('pickSurplus', () => {
  const one = (id: string, activeAtMs: number, leases = 0): IdleCandidate => ({
    id,
    leases,
    activeAtMs,
  });
  const idleMs = 1_000;

  it('takes the longest idle first, no more than there are too many', () => {
    const candidates = [one('a', 300), one('b', 100), one('c', 200)];
    assert.deepEqual(pickSurplus(candidates, { desired: 1, idleMs }, 5_000), ['b', 'c']);
  });

  it('takes none that is leased, however many there are', () => {
    const candidates = [one('a', 0, 1), one('b', 0, 2)];
    assert.deepEqual(pickSurplus(candidates, { desired: 0, idleMs }, 1e9), []);
  });

  it('waits for the whole idle time', () => {
    assert.deepEqual(pickSurplus([one('a', 100)], { desired: 0, idleMs }, 1_099), []);
    assert.deepEqual(pickSurplus([one('a', 100)], { desired: 0, idleMs }, 1_100), ['a']);
  });

  it('takes none at or below the desired count', () => {
    assert.deepEqual(pickSurplus([one('a', 0)], { desired: 1, idleMs }, 1e9), []);
    assert.deepEqual(pickSurplus([], { desired: 0, idleMs }, 1e9), []);
  });

  it('decides ties by id', () => {
    const candidates = [one('b', 0), one('a', 0)];
    assert.deepEqual(pickSurplus(candidates, { desired: 1, idleMs }, 1e9), ['a']);
  });
});
