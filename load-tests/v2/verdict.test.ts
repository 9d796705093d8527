import assert from 'node:assert/strict';
import { test } from 'node:test';
import { verdictOf } from './verdict.ts';

const STEPS = ['quickstart', 'engine'];

test('all steps must have ended with 0', () => {
  const serial =
    'boot\r\nhearth-v2 quickstart 0\r\ntext hearth-v2 engine 1\r\nhearth-v2 engine 0\r\n';
  assert.deepEqual(verdictOf(serial, STEPS), {
    ok: true,
    lines: ['quickstart: passed', 'engine: passed'],
  });
});

test('a step that failed, or of which nothing was heard, fails all', () => {
  assert.deepEqual(verdictOf('hearth-v2 quickstart 8\n', STEPS), {
    ok: false,
    lines: ['quickstart: failed with exit code 8', 'engine: did not end'],
  });
});
