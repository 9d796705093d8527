import assert from 'node:assert/strict';
import { test } from 'node:test';
import { suggest } from './suggest.ts';

test('the nearest word, if it is near enough', () => {
  assert.equal(suggest('memmory', ['memory', 'pids']), 'memory');
  assert.equal(suggest('pdis', ['memory', 'pids']), 'pids');
  assert.equal(suggest('colour', ['memory', 'pids']), undefined);
});

test('a word as long as a body is near to nothing', () => {
  assert.equal(suggest('x'.repeat(70_000), ['memory', 'pids']), undefined);
});
