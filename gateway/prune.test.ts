import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '../lib/limits.ts';
import type { BuildRecord } from '../lib/records.ts';
import { defaultSpec } from '../lib/spec/defaults.ts';
import { pickOld } from './prune.ts';
import { recordsOf } from './testing/platform.ts';

const generations = Array.from({ length: 30 }, (_, index) => index + 1);
const revisions = generations.map((n) => recordsOf(defaultSpec('hello'), n, []).revision);
const builds = generations.map((n) => ({ id: `b-${n}`, generation: n }) as BuildRecord);

test('pickOld() keeps the newest, and older revisions that are in use', () => {
  const used = new Set(['hello-00001', 'hello-00003']);
  const old = pickOld({ revisions, builds, used });
  assert.equal(old.revisions.length, 30 - LIMITS.revisionsKeptMax - used.size);
  assert.deepEqual(old.revisions.slice(-2), ['hello-00004', 'hello-00002']);
  assert.equal(old.builds.length, 30 - LIMITS.buildsKeptMax);
  assert.equal(old.builds.at(-1), 'b-1');
});

test('pickOld() picks nothing of a function that is deployed seldom', () => {
  const few = { revisions: revisions.slice(0, 10), builds: builds.slice(0, 20) };
  assert.deepEqual(pickOld({ ...few, used: new Set() }), { revisions: [], builds: [] });
});
