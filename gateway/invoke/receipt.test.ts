import assert from 'node:assert/strict';
import { test } from 'node:test';
import { coldReceipt } from './receipt.ts';

test('coldReceipt() names the phases in their order and gives the rest of the wait to the queue', () => {
  const phases = { queueMs: 1, mountMs: 2, spawnMs: 0.5, readyMs: 6, importMs: 4, totalMs: 10 };
  assert.equal(
    coldReceipt({ waitedMs: 12, phases, appMs: 3.456 }),
    'queue;dur=3.00, mount;dur=2.00, spawn;dur=0.50, ready;dur=6.00, import;dur=4.00, app;dur=3.46',
  );
});

test('coldReceipt() has no negative time when the start began before the request', () => {
  assert.equal(
    coldReceipt({ waitedMs: 2, phases: { totalMs: 10 }, appMs: 1 }),
    'queue;dur=0.00, app;dur=1.00',
  );
});
