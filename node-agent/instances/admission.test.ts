import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GIB, LIMITS, MIB } from '../../lib/limits.ts';
import { memoryForInstances, refusal } from './admission.ts';

const LOAD = {
  node: 'n1',
  instances: 3,
  memoryReservedBytes: 700 * MIB,
  memoryForInstancesBytes: memoryForInstances(GIB),
};

test('instances may have 80 % of the memory', () => {
  assert.equal(memoryForInstances(1000), 800);
});

test('what fits is admitted, to the last byte', () => {
  const freeBytes = LOAD.memoryForInstancesBytes - LOAD.memoryReservedBytes;
  assert.equal(refusal(LOAD, freeBytes), undefined);
  assert.equal(refusal(LOAD, freeBytes + 1)?.code, 'NodeFull');
});

test('a refusal says what is left and what was asked', () => {
  assert.equal(
    refusal(LOAD, 256 * MIB)?.message,
    'node "n1" has 119 MiB left for instances, asked are 256 MiB',
  );
});

test('the number of instances has a bound', () => {
  const full = { ...LOAD, instances: LIMITS.agentInstancesMax };
  assert.match(refusal(full, 1)?.message ?? '', /runs 1000 instances, limit 1000/);
});
