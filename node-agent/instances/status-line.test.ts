import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseStatusLine } from './status-line.ts';

test('a ready guest, with and without a believable duration', () => {
  assert.deepEqual(parseStatusLine('{"ready":true,"importMs":12.3}'), {
    ready: true,
    importMs: 12.3,
  });
  assert.deepEqual(parseStatusLine('{"ready":true,"importMs":-1}'), { ready: true });
  assert.deepEqual(parseStatusLine('{"ready":true,"importMs":"x"}'), { ready: true });
});

test('a guest whose handler did not load', () => {
  const line = '{"ready":false,"error":{"name":"TypeError","message":"x is not a function"}}';
  assert.deepEqual(parseStatusLine(line), {
    ready: false,
    error: { name: 'TypeError', message: 'x is not a function' },
  });
});

test('anything else is no status', () => {
  for (const line of ['', 'hello', 'null', '[]', '{}', '{"ready":1}', '{"ready":false}']) {
    assert.equal(parseStatusLine(line), undefined, line);
  }
});

test('texts are cut', () => {
  const error = { name: 'n'.repeat(9_000), message: 'm'.repeat(9_000), stack: 's'.repeat(90_000) };
  const status = parseStatusLine(JSON.stringify({ ready: false, error }));
  assert.ok(status?.ready === false);
  assert.equal(status.error.name.length, 2_000);
  assert.equal(status.error.stack?.length, 16_000);
});
