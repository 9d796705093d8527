import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HearthError } from '../../lib/errors.ts';
import { failureOf, mayRetry } from './failure.ts';

const refused = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' });
const closed = Object.assign(new Error('other side closed'), { code: 'UND_ERR_SOCKET' });
const base = { functionName: 'hello', tries: 1, isRepeatable: true, bodyWasRead: false };

test('mayRetry() repeats what reached nobody, a bounded number of times', () => {
  const unsent = { ...base, error: refused, sent: false, isRepeatable: false };
  assert.equal(mayRetry(unsent), true);
  assert.equal(mayRetry({ ...unsent, tries: 4 }), false);
  assert.equal(mayRetry({ ...unsent, bodyWasRead: true }), false);
});

test('mayRetry() repeats a sent request only if it is repeatable, and once', () => {
  const sent = { ...base, error: closed, sent: true };
  assert.equal(mayRetry(sent), true);
  assert.equal(mayRetry({ ...sent, tries: 2 }), false);
  assert.equal(mayRetry({ ...sent, isRepeatable: false }), false);
});

test('mayRetry() never repeats a timeout', () => {
  const error = new HearthError('RequestTimeout', 'late');
  assert.equal(mayRetry({ ...base, error, sent: true }), false);
  assert.equal(mayRetry({ ...base, error, sent: false }), false);
});

test('failureOf() tells unreachable, crashed, invalid and refused apart', () => {
  const code = (error: unknown, sent: boolean): string =>
    failureOf({ error, sent, functionName: 'hello' }).code;
  assert.equal(code(refused, false), 'InstanceUnreachable');
  assert.equal(code(closed, true), 'InstanceCrashed');
  assert.equal(
    code(Object.assign(new Error(), { code: 'HPE_INVALID_STATUS' }), true),
    'ResponseInvalid',
  );
  assert.equal(
    code(Object.assign(new Error(), { code: 'UND_ERR_INVALID_ARG' }), false),
    'BadRequest',
  );
  assert.equal(code(new HearthError('RequestTimeout', 'late'), true), 'RequestTimeout');
});
