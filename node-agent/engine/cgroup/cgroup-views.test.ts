import assert from 'node:assert/strict';
import { test } from 'node:test';
import { planCgroupViews } from './cgroup-views.ts';

test('a container sees its own cgroup where each version has it', () => {
  const v2 = { version: 'v2', v1: {}, v2: '/cg' } as const;
  assert.deepEqual(planCgroupViews(v2, 'e', 'c'), [{ name: '', path: '/cg/hearth/e/c' }]);
  const v1 = { version: 'v1', v1: { memory: '/m', cpu: '/c' }, v2: '/u' } as const;
  assert.deepEqual(planCgroupViews(v1, 'e', 'c'), [
    { name: 'memory', path: '/m/hearth/e/c' },
    { name: 'cpu', path: '/c/hearth/e/c' },
    { name: 'unified', path: '/u/hearth/e/c' },
  ]);
});
