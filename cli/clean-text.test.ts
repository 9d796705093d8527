import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cleanLine, cleanText } from './clean-text.ts';

test('cleanText() makes escape sequences and overrides visible and keeps tab and line feed', () => {
  assert.equal(cleanText('a\x1b[2Jb\x07\x9bc'), 'a\\x1b[2Jb\\x07\\x9bc');
  assert.equal(cleanText('abc\u202edef'), 'abc\\u202edef');
  assert.equal(cleanText('a\tb\nc é 漢 😀'), 'a\tb\nc é 漢 😀');
});

test('cleanLine() is one line', () => {
  assert.equal(cleanLine('a\nb\r\n'), 'a\\nb');
});
