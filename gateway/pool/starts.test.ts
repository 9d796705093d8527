import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startBackoffMs, startsWanted } from './starts.ts';

const input = { waiting: 1, concurrency: 50, starting: 0, live: 0, scaleMax: 10 };

test('startsWanted() is one instance for each full concurrency of waiters', () => {
  assert.equal(startsWanted({ ...input, waiting: 0 }), 0);
  assert.equal(startsWanted({ ...input, waiting: 1 }), 1);
  assert.equal(startsWanted({ ...input, waiting: 50 }), 1);
  assert.equal(startsWanted({ ...input, waiting: 51 }), 2);
});

test('startsWanted() counts the starts under way', () => {
  assert.equal(startsWanted({ ...input, waiting: 50, starting: 1 }), 0);
  assert.equal(startsWanted({ ...input, waiting: 120, starting: 1 }), 2);
});

test('startsWanted() never goes above scaleMax', () => {
  assert.equal(startsWanted({ ...input, waiting: 1000, concurrency: 1, live: 4 }), 6);
  assert.equal(startsWanted({ ...input, waiting: 1000, concurrency: 1, live: 4, starting: 6 }), 0);
  assert.equal(startsWanted({ ...input, waiting: 1000, scaleMax: 0 }), 0);
});

test('startBackoffMs() doubles from the second failure on, up to a minute', () => {
  assert.deepEqual(
    [0, 1, 2, 3, 4, 8, 9, 1000].map(startBackoffMs),
    [0, 0, 1000, 2000, 4000, 60_000, 60_000, 60_000],
  );
});
