import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { LIMITS } from '../lib/limits.ts';
import { decide } from './decide.ts';
import {
  demand,
  functionRecord,
  GIB,
  instance,
  memory,
  node,
  revision,
  rollout,
  spec,
} from './testing/records.ts';
import type { Memory, World } from './world.ts';

const NOW_MS = 1_000_000;
const ids = fc.constantFrom('hello-00001', 'hello-00002', 'hello-00003');
const nodeNames = fc.constantFrom('n1', 'n2', 'n3');
const ago = fc.integer({ min: 0, max: 100_000 }).map((ms) => NOW_MS - ms);

const instances = fc.uniqueArray(
  fc.record({
    id: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g'),
    node: nodeNames,
    revisionId: ids,
    state: fc.constantFrom('ready' as const, 'paused' as const, 'draining' as const),
    readyAtMs: ago,
  }),
  { selector: ({ id }) => id },
);

const worlds: fc.Arbitrary<World> = fc.record({
  functions: fc.constantFrom(
    [],
    [functionRecord()],
    [functionRecord({ traffic: [] })],
    [functionRecord({ traffic: [{ revisionId: 'hello-00002', percent: 100 }] })],
  ),
  revisions: fc
    .record({
      concurrency: fc.integer({ min: 1, max: 20 }),
      min: fc.integer({ min: 0, max: 4 }),
      extra: fc.integer({ min: 0, max: 6 }),
      memoryBytes: fc.constantFrom(GIB, 3 * GIB),
      // At 0 nothing but the lease itself keeps an instance.
      idleMs: fc.constantFrom(0, 10_000),
    })
    .map(({ concurrency, min, extra, memoryBytes, idleMs }) => {
      const scale = { min, max: min + extra, idleMs };
      return [1, 2, 3].map((generation) =>
        revision(generation, { spec: spec({ concurrency, memoryBytes, scale }) }),
      );
    }),
  rollouts: fc
    .array(fc.constantFrom('ready' as const, 'failed' as const, 'starting' as const), {
      minLength: 3,
      maxLength: 3,
    })
    .map((states) => states.map((state, at) => rollout(at + 1, { state }))),
  instances: instances.map((rows) => rows.map((row) => instance(row.id, row))),
  nodes: fc.uniqueArray(
    fc
      .record({ name: nodeNames, heartbeatAtMs: ago, usedGib: fc.integer({ min: 0, max: 9 }) })
      .map(({ name, heartbeatAtMs, usedGib }) =>
        node(name, heartbeatAtMs, { memoryReservedBytes: usedGib * GIB }),
      ),
    { selector: ({ name }) => name },
  ),
  gateways: fc.uniqueArray(
    fc.record({
      name: fc.constantFrom('g1', 'g2'),
      address: fc.constant(''),
      version: fc.constant('0'),
      heartbeatAtMs: ago,
    }),
    { selector: ({ name }) => name },
  ),
  demand: fc.array(
    fc
      .record({
        gateway: fc.constantFrom('g1', 'g2'),
        revisionId: ids,
        running: fc.nat(100),
        waiting: fc.nat(100),
        updatedAtMs: ago,
        held: fc.dictionary(
          fc.constantFrom('a', 'b', 'c', 'd'),
          fc.record({ leases: fc.nat(2), idleSinceMs: ago }),
        ),
      })
      .map(({ held, ...row }) => demand({ ...row, instances: held })),
    { maxLength: 4 },
  ),
});

const memories: fc.Arbitrary<Memory> = fc
  .record({
    steadySinceMs: ago,
    shortSinceMs: ago,
    untilMs: fc.constantFrom(0, NOW_MS + 1),
    starting: fc.array(nodeNames, { maxLength: 2 }),
  })
  .map(({ steadySinceMs, shortSinceMs, untilMs, starting }) =>
    memory({
      steadySinceMs,
      shortSinceMs: new Map([['hello-00001', shortSinceMs]]),
      failures: new Map([['hello-00002', { count: 1, untilMs }]]),
      starting: new Map([['hello-00001', starting]]),
    }),
  );

function always(holds: (world: World, memory: Memory) => void): void {
  fc.assert(fc.property(worlds, memories, holds), { numRuns: 500 });
}

function isLeased(world: World, id: string): boolean {
  const live = world.gateways.filter((one) => NOW_MS - one.heartbeatAtMs <= LIMITS.nodeLostMs);
  const names = new Set(live.map(({ name }) => name));
  return world.demand.some(
    (record) => names.has(record.gateway) && (record.instances[id]?.leases ?? 0) > 0,
  );
}

describe('decide, whatever the records say', () => {
  it('stops no instance as idle that a live gateway leases, and none twice', () => {
    always((world, remembered) => {
      const { actions } = decide(world, remembered, NOW_MS);
      const drains = actions.filter((action) => action.type === 'drain');
      for (const { instanceId, reason } of drains) {
        assert.ok(reason !== 'idle' || !isLeased(world, instanceId));
        assert.notEqual(world.instances.find(({ id }) => id === instanceId)?.state, 'draining');
      }
      assert.equal(new Set(drains.map(({ instanceId }) => instanceId)).size, drains.length);
    });
  });

  it('never has more than max by its own starts, nor fewer than min by its own stops', () => {
    always((world, remembered) => {
      const { actions } = decide(world, remembered, NOW_MS);
      const traffic = world.functions.flatMap((one) =>
        one.traffic.map((share) => share.revisionId),
      );
      for (const { id, spec: own } of world.revisions) {
        const serving = world.instances.filter(
          ({ revisionId, state }) => revisionId === id && state !== 'draining',
        );
        const starting = remembered.starting.get(id)?.length ?? 0;
        const starts = actions.filter(
          (action) => action.type === 'start' && action.revisionId === id,
        ).length;
        const stopped = new Set(
          actions.flatMap((action) => (action.type === 'drain' ? [action.instanceId] : [])),
        );
        const left = serving.filter((one) => !stopped.has(one.id)).length;
        if (starts > 0) assert.ok(serving.length + starting + starts <= own.scale.max);
        if (traffic.includes(id) && left < serving.length) assert.ok(left >= own.scale.min);
      }
    });
  });

  it('starts only on nodes with a record and room for all it starts there', () => {
    always((world, remembered) => {
      const { actions } = decide(world, remembered, NOW_MS);
      const starts = actions.filter((action) => action.type === 'start');
      for (const { name, memoryBytes, memoryReservedBytes } of world.nodes) {
        const promised = starts
          .filter((action) => action.node === name)
          .map(({ revisionId }) => world.revisions.find(({ id }) => id === revisionId))
          .reduce((sum, one) => sum + (one?.spec.memoryBytes ?? 0), 0);
        if (promised === 0) continue;
        const capacity = (memoryBytes * LIMITS.agentMemoryPercent) / 100;
        assert.ok(memoryReservedBytes + promised <= capacity);
      }
      const names = new Set(world.nodes.map(({ name }) => name));
      for (const action of starts) assert.ok(names.has(action.node));
    });
  });

  it('respects pauses, and gives the same answer for the same question', () => {
    always((world, remembered) => {
      const first = decide(world, remembered, NOW_MS);
      assert.deepEqual(decide(world, remembered, NOW_MS), first);
      for (const [id, { untilMs }] of remembered.failures) {
        if (untilMs <= NOW_MS) continue;
        assert.ok(!first.actions.some((one) => one.type === 'start' && one.revisionId === id));
      }
    });
  });

  it('forgets no instance of a node that beats, nor any while the store is not steady', () => {
    always((world, remembered) => {
      const beating = new Set(
        world.nodes
          .filter(({ heartbeatAtMs }) => NOW_MS - heartbeatAtMs <= LIMITS.nodeLostMs)
          .map(({ name }) => name),
      );
      const isSteady = NOW_MS - remembered.steadySinceMs >= LIMITS.nodeLostMs;
      for (const action of decide(world, remembered, NOW_MS).actions) {
        if (action.type !== 'forget' || action.kind !== 'instance') continue;
        const forgotten = world.instances.find(({ id }) => id === action.id);
        assert.ok(isSteady && !beating.has(forgotten?.node ?? ''));
      }
    });
  });
});
