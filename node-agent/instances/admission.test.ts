import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GIB, LIMITS, MIB } from '../../lib/limits.ts';
import { memoryForInstances, refusal, sumOf } from './admission.ts';

const LOAD = {
  node: 'n1',
  instances: 3,
  memoryReservedBytes: 700 * MIB,
  memoryForInstancesBytes: memoryForInstances(GIB),
  pidsReserved: 300,
};

test('instances may have 80 % of the memory', () => {
  assert.equal(memoryForInstances(1000), 800);
});

test('what fits is admitted, to the last byte', () => {
  const freeBytes = LOAD.memoryForInstancesBytes - LOAD.memoryReservedBytes;
  assert.equal(refusal(LOAD, { memoryBytes: freeBytes, pids: 1 }), undefined);
  assert.equal(refusal(LOAD, { memoryBytes: freeBytes + 1, pids: 1 })?.code, 'NodeFull');
});

test('a refusal says what is left and what was asked', () => {
  assert.equal(
    refusal(LOAD, { memoryBytes: 256 * MIB, pids: 1 })?.message,
    'node "n1" has 119 MiB left for containers, asked are 256 MiB',
  );
});

test('the number of instances has a bound', () => {
  const full = { ...LOAD, instances: LIMITS.agentInstancesMax };
  assert.match(
    refusal(full, { memoryBytes: 1, pids: 1 })?.message ?? '',
    /runs 1000 containers, limit 1000/,
  );
});

test('RES-10: the processes of all instances together have a bound below the host’s', () => {
  const memoryBytes = 1;
  const left = LIMITS.agentPidsMax - LOAD.pidsReserved;
  assert.equal(refusal(LOAD, { memoryBytes, pids: left }), undefined);
  const refused = refusal(LOAD, { memoryBytes, pids: left + 1 });
  assert.equal(refused?.code, 'NodeFull');
  assert.equal(
    refused?.message,
    'node "n1" has 23700 processes left for containers of 24000, asked are 23701',
  );
});

test('RES-10: however many ask, what is admitted fits memory, processes and number', () => {
  const admitted: { memoryBytes: number; pids: number }[] = [];
  for (let n = 0; n < 50_000; n++) {
    const demand = { memoryBytes: (16 + (n % 7) * 64) * MIB, pids: 1 + (n % 5) * 100 };
    const sum = sumOf(admitted);
    const load = {
      node: 'n1',
      instances: admitted.length,
      memoryReservedBytes: sum.memoryBytes,
      memoryForInstancesBytes: memoryForInstances(32 * GIB),
      pidsReserved: sum.pids,
    };
    if (refusal(load, demand) === undefined) admitted.push(demand);
  }
  const { memoryBytes, pids } = sumOf(admitted);
  assert.ok(memoryBytes <= 0.8 * 32 * GIB && pids <= 24_000, `${memoryBytes} ${pids}`);
  assert.ok(admitted.length > 50 && admitted.length <= LIMITS.agentInstancesMax);
});
