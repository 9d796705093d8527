import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HearthError } from '../lib/errors.ts';
import { failureOf } from './errors.ts';

test('failureOf() shows the lines of a log that say more than the message', () => {
  const error = new HearthError('StartFailed', 'handler did not load: Error: Cannot find x', {
    details: { logTail: ['before', 'Error [ERR_MODULE_NOT_FOUND]: Cannot find x', 'Error: other'] },
  });
  assert.deepEqual(failureOf(error).lines, [
    'error: handler did not load: Error: Cannot find x',
    '  before',
    '  Error: other',
  ]);
});
