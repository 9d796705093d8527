import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HearthError } from '../lib/errors.ts';
import type { BuildRecord } from '../lib/records.ts';
import { defaultSpec } from '../lib/spec/defaults.ts';
import { decideDeploy, endDeploy } from './deploy-decision.ts';
import { recordsOf } from './testing/platform.ts';

const { function: ready, rollout, revision } = recordsOf(defaultSpec('hello'), 2, ['n1']);
const record = { ...ready, state: 'deploying' as const, traffic: [] };
const build: BuildRecord = {
  id: record.buildId,
  functionName: 'hello',
  generation: 2,
  contextDigest: record.contextDigest,
  state: 'built',
  revisionId: revision.id,
  createdAtMs: 0,
};
const failure = new HearthError('NotListening', 'nothing listened').toBody();

test('a ready rollout of the newest build takes the traffic', () => {
  const decision = decideDeploy({ record, build, rollout });
  assert.deepEqual(decision, { kind: 'ready', revisionId: revision.id });
});

test('nothing is decided before build and rollout have ended', () => {
  const none = { kind: 'none' };
  assert.deepEqual(decideDeploy({ record, build: undefined, rollout }), none);
  assert.deepEqual(decideDeploy({ record, build: { ...build, state: 'pushing' }, rollout }), none);
  assert.deepEqual(decideDeploy({ record, build, rollout: undefined }), none);
  const starting = { ...rollout, state: 'starting' as const };
  assert.deepEqual(decideDeploy({ record, build, rollout: starting }), none);
  assert.deepEqual(decideDeploy({ record: ready, build, rollout }), none);
});

test('what belongs to an older deploy decides nothing', () => {
  const none = { kind: 'none' };
  assert.deepEqual(decideDeploy({ record, build: { ...build, id: 'b-old' }, rollout }), none);
  assert.deepEqual(decideDeploy({ record, build: { ...build, generation: 1 }, rollout }), none);
  const other = { ...rollout, revisionId: 'hello-00001' };
  assert.deepEqual(decideDeploy({ record, build, rollout: other }), none);
});

test('a failed build has been told by the builder, a failed rollout is told here', () => {
  const failedBuild: BuildRecord = { ...build, state: 'failed', error: failure };
  assert.deepEqual(decideDeploy({ record, build: failedBuild, rollout: undefined }), {
    kind: 'failed',
    error: failure,
    announce: false,
  });
  const failedRollout = { ...rollout, state: 'failed' as const, error: failure };
  assert.deepEqual(decideDeploy({ record, build, rollout: failedRollout }), {
    kind: 'failed',
    error: failure,
    announce: true,
  });
});

test('endDeploy() moves the traffic, or leaves it and keeps the reason', () => {
  const old = [{ revisionId: 'hello-00001', percent: 100 }];
  const failed = endDeploy(
    { ...record, traffic: old },
    { kind: 'failed', error: failure, announce: true },
    7,
  );
  assert.deepEqual([failed.state, failed.traffic, failed.lastError], ['failed', old, failure]);
  const moved = endDeploy(failed, { kind: 'ready', revisionId: revision.id }, 8);
  assert.deepEqual(moved.traffic, [{ revisionId: revision.id, percent: 100 }]);
  assert.deepEqual([moved.state, moved.lastError, moved.updatedAtMs], ['ready', undefined, 8]);
});
