import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MIB } from '../../lib/limits.ts';
import { badEnd } from './build-error.ts';

test('badEnd() says in words how a program ended', () => {
  const end = (status: Parameters<typeof badEnd>[0]) => badEnd(status, 64 * MIB)?.what;
  assert.equal(end({ code: 0, oomKilled: false }), undefined);
  assert.equal(end({ code: 3, oomKilled: false }), 'exited 3');
  assert.equal(end({ signal: 9, oomKilled: false }), 'was ended by signal 9');
  assert.equal(end({ signal: 9, oomKilled: true }), 'ran out of memory (limit 64 MiB)');
  assert.equal(end({ oomKilled: false }), 'exited without a status');
});
