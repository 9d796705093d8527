import { sha256 } from '../../lib/digest.ts';
import type {
  DemandRecord,
  FunctionRecord,
  GatewayRecord,
  InstanceRecord,
  NodeRecord,
  RevisionRecord,
  RolloutRecord,
} from '../../lib/records.ts';
import { defaultSpec } from '../../lib/spec/defaults.ts';
import type { FunctionSpec } from '../../lib/spec/spec.ts';
import { emptyMemory, type Memory, type World } from '../world.ts';

/** Records for tests; `changes` replaces what matters. Times are small numbers, 0 at the start. */
export const GIB = 1024 ** 3;

export function spec(changes: Partial<FunctionSpec> = {}): FunctionSpec {
  return { ...defaultSpec('hello'), ...changes };
}

export function revision(generation = 1, changes: Partial<RevisionRecord> = {}): RevisionRecord {
  const id = `hello-${String(generation).padStart(5, '0')}`;
  return {
    id,
    functionName: 'hello',
    generation,
    buildId: `b-${generation}`,
    image: { repository: 'functions/hello', digest: sha256(id) },
    contract: 'socket',
    spec: spec(),
    createdAtMs: 0,
    ...changes,
  };
}

export function functionRecord(changes: Partial<FunctionRecord> = {}): FunctionRecord {
  return {
    name: 'hello',
    generation: 1,
    spec: spec(),
    contextDigest: sha256('context'),
    buildId: 'b-1',
    state: 'ready',
    traffic: [{ revisionId: 'hello-00001', percent: 100 }],
    createdAtMs: 0,
    updatedAtMs: 0,
    ...changes,
  };
}

export function rollout(generation = 1, changes: Partial<RolloutRecord> = {}): RolloutRecord {
  return {
    revisionId: revision(generation).id,
    functionName: 'hello',
    state: 'ready',
    nodes: ['n1'],
    desired: 0,
    updatedAtMs: 0,
    ...changes,
  };
}

export function instance(id: string, changes: Partial<InstanceRecord> = {}): InstanceRecord {
  return {
    id,
    node: 'n1',
    functionName: 'hello',
    revisionId: 'hello-00001',
    state: 'ready',
    endpoint: { kind: 'unix', path: `/run/${id}.sock` },
    concurrency: 50,
    reason: 'rollout',
    phases: { totalMs: 1 },
    startedAtMs: 0,
    readyAtMs: 0,
    ...changes,
  };
}

export function node(
  name: string,
  heartbeatAtMs: number,
  changes: Partial<NodeRecord> = {},
): NodeRecord {
  return {
    name,
    address: 'http://127.0.0.1:1',
    cpuMillis: 2000,
    memoryBytes: 10 * GIB,
    memoryReservedBytes: 0,
    instances: 0,
    version: '0',
    heartbeatAtMs,
    ...changes,
  };
}

export function gateway(name: string, heartbeatAtMs: number): GatewayRecord {
  return { name, address: 'http://127.0.0.1:2', version: '0', heartbeatAtMs };
}

export function demand(changes: Partial<DemandRecord> = {}): DemandRecord {
  return {
    gateway: 'g1',
    functionName: 'hello',
    revisionId: 'hello-00001',
    running: 0,
    waiting: 0,
    instances: {},
    lastRequestAtMs: 0,
    updatedAtMs: 0,
    ...changes,
  };
}

/** One function on one live node behind one live gateway at `nowMs`. */
export function world(nowMs: number, changes: Partial<World> = {}): World {
  return {
    functions: [functionRecord()],
    revisions: [revision()],
    rollouts: [rollout()],
    instances: [],
    nodes: [node('n1', nowMs)],
    gateways: [gateway('g1', nowMs)],
    demand: [],
    ...changes,
  };
}

/** A memory of a scheduler whose store has answered for long. */
export function memory(changes: Partial<Memory> = {}): Memory {
  return { ...emptyMemory(-1_000_000), ...changes };
}
