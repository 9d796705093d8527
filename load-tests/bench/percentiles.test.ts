import assert from 'node:assert/strict';
import { test } from 'node:test';
import { percentile, spreadOf } from './percentiles.ts';

test('nearest rank', () => {
  const values = Array.from({ length: 100 }, (_, i) => i + 1);
  assert.deepEqual(spreadOf(values.toReversed()), {
    count: 100,
    p50: 50,
    p90: 90,
    p99: 99,
    max: 100,
  });
  assert.equal(percentile([7], 1), 7);
  assert.equal(percentile([1, 2], 50), 1);
  assert.equal(percentile([1, 2], 51), 2);
});

test('nothing measured is not a number', () => {
  assert.ok(Number.isNaN(spreadOf([]).p50));
});
