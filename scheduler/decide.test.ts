import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decide } from './decide.ts';
import {
  demand,
  functionRecord,
  GIB,
  gateway,
  instance,
  memory,
  node,
  revision,
  rollout,
  spec,
  world,
} from './testing/records.ts';
import type { Action, Memory, World } from './world.ts';

const REVISION = 'hello-00001';

/** Actions in short: `start n1`, `drain i-1 idle`, `forget node n1`, `allow n1,n2 desired 1`. */
function short(action: Action): string {
  if (action.type === 'start') return `start ${action.node}`;
  if (action.type === 'drain') return `drain ${action.instanceId} ${action.reason}`;
  if (action.type === 'forget') return `forget ${action.kind} ${action.id}`;
  return `allow ${action.nodes.join()} desired ${action.desired}`;
}

function decided(at: World, nowMs: number, remembered: Partial<Memory> = {}): string[] {
  return decide(at, memory(remembered), nowMs).actions.map(short);
}

/** Time passes: each step is decided with the memory of the one before. */
function timeline(first: Partial<Memory> = {}) {
  let remembered = memory(first);
  return (at: World, nowMs: number): string[] => {
    const decision = decide(at, remembered, nowMs);
    remembered = { ...remembered, ...decision.memory };
    return decision.actions.map(short);
  };
}

function scaled(min: number, max: number, idleMs = 60_000) {
  return revision(1, { spec: spec({ concurrency: 10, scale: { min, max, idleMs } }) });
}

describe('decide: scaling up', () => {
  it('does nothing without demand', () => {
    assert.deepEqual(decided(world(0), 0), []);
  });

  it('leaves the first moment of a shortage to the gateways, then starts what is missing', () => {
    const step = timeline();
    const at = (nowMs: number): World =>
      world(nowMs, {
        revisions: [scaled(0, 10)],
        rollouts: [rollout(1, { desired: 3 })],
        instances: [instance('i-1')],
        demand: [demand({ running: 10, waiting: 15, updatedAtMs: nowMs })],
      });
    assert.deepEqual(step(at(0), 0), []);
    assert.deepEqual(step(at(1_000), 1_000), []);
    assert.deepEqual(step(at(2_000), 2_000), ['start n1', 'start n1']);
  });

  it('forgets a shortage that went away', () => {
    const step = timeline();
    const busy = (nowMs: number): World =>
      world(nowMs, {
        rollouts: [rollout(1, { desired: 1 })],
        demand: [demand({ waiting: 1, updatedAtMs: nowMs })],
      });
    const idle = (nowMs: number): World => world(nowMs);
    step(busy(0), 0);
    step(idle(1_000), 1_000);
    assert.deepEqual(step(busy(2_000), 2_000), []);
  });

  it('counts starts under way', () => {
    const at = world(5_000, {
      revisions: [scaled(0, 10)],
      rollouts: [rollout(1, { desired: 2 })],
      demand: [demand({ waiting: 20, updatedAtMs: 5_000 })],
    });
    const remembered = { shortSinceMs: new Map([[REVISION, 0]]) };
    const starting = new Map([[REVISION, ['n1']]]);
    assert.deepEqual(decided(at, 5_000, { ...remembered, starting }), ['start n1']);
  });

  it('adds the demand of all live gateways, and ignores that of dead ones', () => {
    const at = world(100_000, {
      revisions: [scaled(0, 10)],
      rollouts: [rollout(1, { desired: 2 })],
      gateways: [gateway('g1', 100_000), gateway('g2', 99_000), gateway('dead', 0)],
      demand: [
        demand({ gateway: 'g1', running: 10, updatedAtMs: 0 }),
        demand({ gateway: 'g2', running: 10, updatedAtMs: 100_000 }),
        demand({ gateway: 'dead', running: 500, updatedAtMs: 0 }),
      ],
    });
    assert.equal(decide(at, memory(), 100_000).counts[0]?.desired, 2);
  });

  it('keeps min warm at once, spread over nodes', () => {
    const at = world(0, {
      revisions: [scaled(3, 10)],
      rollouts: [rollout(1, { nodes: ['n1', 'n2'], desired: 3 })],
      nodes: [node('n1', 0), node('n2', 0)],
    });
    assert.deepEqual(decided(at, 0), ['start n1', 'start n2', 'start n1']);
  });

  it('names a revision that fits nowhere instead of starting it', () => {
    const at = world(0, {
      revisions: [scaled(1, 10)],
      rollouts: [rollout(1, { desired: 1 })],
      nodes: [node('n1', 0, { memoryReservedBytes: 8 * GIB })],
    });
    const decision = decide(at, memory(), 0);
    assert.deepEqual(decision.actions, []);
    assert.deepEqual(decision.unplaced, [REVISION]);
  });

  it('does not promise the same memory twice', () => {
    const big = spec({ memoryBytes: 5 * GIB, scale: { min: 2, max: 2, idleMs: 1 } });
    const at = world(0, {
      revisions: [revision(1, { spec: big })],
      rollouts: [rollout(1, { desired: 2 })],
    });
    assert.deepEqual(decided(at, 0), ['start n1']);
  });

  it('waits out the pause after failures', () => {
    const at = world(5_000, { revisions: [scaled(1, 10)], rollouts: [rollout(1, { desired: 1 })] });
    const failures = new Map([[REVISION, { count: 3, untilMs: 6_000 }]]);
    assert.deepEqual(decided(at, 5_000, { failures }), []);
    assert.deepEqual(decided({ ...at }, 6_000, { failures }), ['start n1']);
  });

  it('starts nothing of a revision whose rollout is not ready', () => {
    for (const state of ['starting', 'failed'] as const) {
      const at = world(0, { revisions: [scaled(1, 10)], rollouts: [rollout(1, { state })] });
      assert.deepEqual(decided(at, 0), []);
    }
  });
});

describe('decide: scaling down', () => {
  const idleWorld = (nowMs: number, changes: Partial<World> = {}): World =>
    world(nowMs, { instances: [instance('i-1')], ...changes });

  it('stops the last instance when it was idle long enough', () => {
    assert.deepEqual(decided(idleWorld(59_999), 59_999), []);
    assert.deepEqual(decided(idleWorld(60_000), 60_000), ['drain i-1 idle']);
  });

  it('keeps the warm first instance of a new revision until it is idle', () => {
    const at = (nowMs: number): World =>
      idleWorld(nowMs, {
        functions: [functionRecord({ state: 'deploying', traffic: [] })],
      });
    assert.deepEqual(decided(at(10_000), 10_000), []);
  });

  it('never stops an instance that a gateway leases, however old', () => {
    const leased = demand({ running: 0, instances: { 'i-1': { leases: 1, idleSinceMs: 0 } } });
    assert.deepEqual(decided(idleWorld(1e9, { demand: [leased] }), 1e9), []);
  });

  it('believes the leases of a gateway that is cut off from the store for 30 s', () => {
    const at = (nowMs: number, updatedAtMs: number): World =>
      idleWorld(nowMs, {
        gateways: [gateway('g1', nowMs), gateway('g2', updatedAtMs)],
        demand: [
          demand({
            gateway: 'g2',
            instances: { 'i-1': { leases: 1, idleSinceMs: 0 } },
            updatedAtMs,
          }),
        ],
      });
    assert.deepEqual(decided(at(130_000, 100_000), 130_000), []);
    assert.deepEqual(decided(at(130_001, 100_000), 130_001), ['drain i-1 idle']);
  });

  it('stops nothing while no gateway lives', () => {
    assert.deepEqual(decided(idleWorld(1e9, { gateways: [gateway('g1', 0)], demand: [] }), 1e9), [
      'forget gateway g1',
    ]);
  });

  it('remembers what a gateway told before it took its records along', () => {
    const step = timeline();
    const told = demand({ instances: { 'i-1': { leases: 0, idleSinceMs: 50_000 } } });
    step(idleWorld(59_000, { demand: [told] }), 59_000);
    assert.deepEqual(step(idleWorld(60_000), 60_000), []);
    assert.deepEqual(step(idleWorld(110_000), 110_000), ['drain i-1 idle']);
  });

  it('keeps min', () => {
    const at = idleWorld(1e9, {
      revisions: [scaled(1, 10)],
      rollouts: [rollout(1, { desired: 1 })],
      instances: [instance('i-1'), instance('i-2', { readyAtMs: 5 })],
    });
    assert.deepEqual(decided(at, 1e9), ['drain i-1 idle']);
  });

  it('stops only what the load does not need', () => {
    const at = idleWorld(100_000, {
      revisions: [scaled(0, 10)],
      rollouts: [rollout(1, { desired: 1 })],
      instances: [instance('i-1'), instance('i-2', { readyAtMs: 10 }), instance('i-3')],
      demand: [
        demand({ running: 3, instances: { 'i-3': { leases: 3, idleSinceMs: 0 } }, updatedAtMs: 1 }),
      ],
    });
    assert.deepEqual(decided(at, 100_000), ['drain i-1 idle', 'drain i-2 idle']);
  });

  it('does not ask again for what drains already', () => {
    const at = idleWorld(1e9, { instances: [instance('i-1', { state: 'draining' })] });
    assert.deepEqual(decided(at, 1e9), []);
  });
});

describe('decide: revisions', () => {
  const two = (changes: Partial<World> = {}): World =>
    world(0, {
      functions: [functionRecord({ generation: 2 })],
      revisions: [revision(1), revision(2)],
      rollouts: [rollout(1), rollout(2)],
      instances: [instance('old'), instance('new', { revisionId: 'hello-00002' })],
      ...changes,
    });

  it('keeps the old revision while it has the traffic and the new one until it gets it', () => {
    assert.deepEqual(decided(two(), 0), []);
  });

  it('drains the old revision once the new one has the traffic', () => {
    const traffic = [{ revisionId: 'hello-00002', percent: 100 }];
    const at = two({ functions: [functionRecord({ generation: 2, traffic })] });
    assert.deepEqual(decided(at, 0), ['drain old no traffic']);
  });

  it('keeps both while the traffic is split', () => {
    const traffic = [
      { revisionId: 'hello-00001', percent: 10 },
      { revisionId: 'hello-00002', percent: 90 },
    ];
    assert.deepEqual(decided(two({ functions: [functionRecord({ traffic })] }), 0), []);
  });

  it('drains the instances of a new revision that failed', () => {
    const at = two({ rollouts: [rollout(1), rollout(2, { state: 'failed' })] });
    assert.deepEqual(decided(at, 0), ['drain new no traffic']);
  });

  it('drains what belongs to no function, and forgets its rollout', () => {
    const at = world(0, { functions: [], instances: [instance('i-1')] });
    assert.deepEqual(decided(at, 0), [`forget rollout ${REVISION}`, 'drain i-1 no traffic']);
  });
});

describe('decide: nodes', () => {
  it('forgets the instances of a node that went silent, and starts them elsewhere', () => {
    const at = world(8_000, {
      revisions: [scaled(1, 10)],
      rollouts: [rollout(1, { nodes: ['n1', 'n2'], desired: 1 })],
      instances: [instance('i-1')],
      nodes: [node('n1', 0), node('n2', 8_000)],
    });
    assert.deepEqual(decided(at, 8_000), ['forget instance i-1', 'allow n2 desired 1']);
    assert.deepEqual(decided({ ...at, instances: [] }, 8_000), ['start n2', 'allow n2 desired 1']);
  });

  it('trusts old heartbeats while the store itself was away a moment ago', () => {
    const at = world(8_000, { instances: [instance('i-1')], nodes: [node('n1', 0)] });
    assert.deepEqual(decided(at, 8_000, { steadySinceMs: 5_000 }), []);
  });

  it('forgets the instances of a node without a record after a while', () => {
    const step = timeline();
    const at = (nowMs: number): World =>
      world(nowMs, { instances: [instance('i-1', { node: 'gone' })] });
    assert.deepEqual(step(at(0), 0), []);
    assert.deepEqual(step(at(7_000), 7_000), []);
    assert.deepEqual(step(at(7_001), 7_001), ['forget instance i-1']);
  });

  it('allows nodes that came and disallows nodes that went', () => {
    const at = world(8_000, { nodes: [node('n1', 0), node('n2', 8_000), node('n3', 8_000)] });
    assert.deepEqual(decided(at, 8_000), ['allow n2,n3 desired 0']);
  });

  it('says nothing when the allowance is as it was', () => {
    const at = world(0, {
      nodes: [node('n1', 0), node('n2', 0)],
      rollouts: [rollout(1, { nodes: ['n2', 'n1'] })],
    });
    assert.deepEqual(decided(at, 0), []);
  });

  it('forgets records of gateways and nodes that were silent for ten minutes', () => {
    const at = world(700_000, {
      gateways: [gateway('g1', 700_000), gateway('old', 0)],
      nodes: [node('n1', 700_000), node('lost', 0)],
      demand: [demand({ gateway: 'old' })],
    });
    assert.deepEqual(decided(at, 700_000), [
      'forget node lost',
      'forget gateway old',
      `forget demand old:${REVISION}`,
    ]);
  });
});

describe('decide: ten minutes of a function', () => {
  it('goes from zero up with the load and back to zero', () => {
    const step = timeline();
    const running = (nowMs: number): number => (nowMs >= 10_000 && nowMs < 120_000 ? 25 : 0);
    let instances: string[] = [];
    let actions = 0;
    let lastActiveMs = 0;
    const counts: number[] = [];
    for (let nowMs = 0; nowMs <= 600_000; nowMs += 1_000) {
      const busy = running(nowMs);
      if (busy > 0) lastActiveMs = nowMs;
      const at = world(nowMs, {
        revisions: [scaled(0, 10)],
        instances: instances.map((id) => instance(id, { readyAtMs: 10_000 })),
        demand: [
          demand({
            running: busy,
            updatedAtMs: nowMs,
            lastRequestAtMs: lastActiveMs,
            instances: Object.fromEntries(
              instances.map((id) => [id, { leases: busy > 0 ? 1 : 0, idleSinceMs: lastActiveMs }]),
            ),
          }),
        ],
      });
      for (const action of step(at, nowMs).filter((text) => !text.startsWith('allow'))) {
        actions += 1;
        if (action.startsWith('start')) instances.push(`i-${actions}`);
        else instances = instances.filter((id) => !action.includes(`${id} `));
      }
      counts.push(instances.length);
    }
    assert.equal(counts[11], 0);
    assert.equal(counts[13], 3);
    assert.equal(counts[178], 3);
    assert.equal(counts[179], 0);
    assert.equal(actions, 6);
  });
});
