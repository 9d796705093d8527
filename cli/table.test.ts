import assert from 'node:assert/strict';
import { test } from 'node:test';
import { table } from './table.ts';

test('table() aligns columns and lets no cell steer the terminal', () => {
  const text = table(
    ['NAME', 'STATE'],
    [
      ['hello', 'ready'],
      ['a\x1b[1m\nb', 'x'],
    ],
  );
  assert.deepEqual(text.split('\n'), [
    'NAME         STATE',
    'hello        ready',
    'a\\x1b[1m\\nb  x',
    '',
  ]);
});
