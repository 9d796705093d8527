import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HearthError } from '../lib/errors.ts';
import type { FunctionRecord } from '../lib/records.ts';
import { defaultSpec } from '../lib/spec/defaults.ts';
import { hasTraffic, pickRevision } from './route.ts';
import { recordsOf } from './testing/platform.ts';

const ready = recordsOf(defaultSpec('hello'), 1, []).function;
const split: FunctionRecord = {
  ...ready,
  traffic: [
    { revisionId: 'a', percent: 90 },
    { revisionId: 'b', percent: 10 },
  ],
};

test('pickRevision() follows the shares', () => {
  assert.equal(pickRevision('hello', ready, 0.999), 'hello-00001');
  assert.equal(pickRevision('hello', split, 0), 'a');
  assert.equal(pickRevision('hello', split, 0.899), 'a');
  assert.equal(pickRevision('hello', split, 0.9), 'b');
  assert.equal(pickRevision('hello', split, 0.999), 'b');
});

test('pickRevision() keeps serving while a newer deploy runs or has failed', () => {
  assert.equal(pickRevision('hello', { ...ready, state: 'deploying' }, 0), 'hello-00001');
  assert.equal(pickRevision('hello', { ...ready, state: 'failed' }, 0), 'hello-00001');
});

test('pickRevision() says why there is none', () => {
  const code = (record: FunctionRecord | undefined): string => {
    try {
      return pickRevision('hello', record, 0);
    } catch (error) {
      return error instanceof HearthError ? error.code : String(error);
    }
  };
  assert.equal(code(undefined), 'FunctionNotFound');
  assert.equal(code({ ...ready, traffic: [], state: 'deploying' }), 'Deploying');
  assert.equal(code({ ...ready, traffic: [], state: 'failed' }), 'FunctionUnhealthy');
});

test('hasTraffic() is false without a share', () => {
  assert.equal(hasTraffic(split, 'b'), true);
  assert.equal(hasTraffic(split, 'c'), false);
  assert.equal(hasTraffic(undefined, 'a'), false);
  assert.equal(hasTraffic({ ...ready, traffic: [{ revisionId: 'a', percent: 0 }] }, 'a'), false);
});
