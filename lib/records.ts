import type { Digest } from './digest.ts';
import type { ErrorBody } from './errors.ts';
import type { FunctionSpec, GuestContract } from './spec/spec.ts';

/**
 * The records in the store. Each kind has one writing component, named beside it; every put names
 * the version it replaces, so a stale writer is refused.
 */
export interface RecordKinds {
  function: FunctionRecord; // gateway
  build: BuildRecord; // builder (the gateway only creates it, queued)
  revision: RevisionRecord; // builder
  rollout: RolloutRecord; // scheduler
  instance: InstanceRecord; // node agent
  node: NodeRecord; // node agent
  gateway: GatewayRecord; // gateway
  demand: DemandRecord; // gateway
  scheduler: SchedulerRecord; // scheduler
}

export type RecordKind = keyof RecordKinds;

/** Writer: gateway. Id: the name. */
export interface FunctionRecord {
  name: string;
  /** Counts the deploys; the build and revision of deploy n carry it. */
  generation: number;
  spec: FunctionSpec;
  contextDigest: Digest;
  /** The newest deploy's build. */
  buildId: string;
  /** `deploying` until the newest deploy has ended; an older revision may serve meanwhile. */
  state: 'deploying' | 'ready' | 'failed';
  lastError?: ErrorBody;
  /** Shares in percent, summing to 100; empty until a first revision was ready. */
  traffic: TrafficShare[];
  createdAtMs: number;
  updatedAtMs: number;
}

export interface TrafficShare {
  revisionId: string;
  percent: number;
}

/** Writer: builder. Id: the build id, `b-…`. */
export interface BuildRecord {
  id: string;
  functionName: string;
  generation: number;
  contextDigest: Digest;
  state: 'queued' | 'building' | 'pushing' | 'built' | 'failed' | 'cancelled';
  revisionId?: string;
  error?: ErrorBody;
  createdAtMs: number;
  endedAtMs?: number;
}

/** An image in a registry. `repository` has no host: it is the platform's registry. */
export interface ImageRef {
  repository: string;
  digest: Digest;
}

/** Immutable. Writer: builder. Id: `NAME-00001`, the generation with five digits. */
export interface RevisionRecord {
  id: string;
  functionName: string;
  generation: number;
  buildId: string;
  image: ImageRef;
  contract: GuestContract;
  spec: FunctionSpec;
  createdAtMs: number;
}

/** Whether a revision may take traffic, and where it may start. Writer: scheduler. Id: the revision's. */
export interface RolloutRecord {
  revisionId: string;
  functionName: string;
  state: 'starting' | 'ready' | 'failed';
  /** Nodes on which a gateway may start instances itself, best first: the start allowance. */
  nodes: string[];
  /** Instances that the scheduler wants at least (scale.min and its own prediction). */
  desired: number;
  error?: ErrorBody;
  updatedAtMs: number;
}

export type InstanceState = 'starting' | 'ready' | 'paused' | 'draining' | 'stopped';

/** Where an instance takes HTTP: a unix socket's path, or host and port, as seen from the node. */
export type InstanceEndpoint =
  | { kind: 'unix'; path: string }
  | { kind: 'tcp'; host: string; port: number };

/** Durations of a start in milliseconds, in the order they happen; absent: did not happen. */
export interface StartPhases {
  /** Waiting for a slot of the agent. */
  queueMs?: number;
  pullMs?: number;
  /** Root file system, network slot, cgroup. */
  mountMs?: number;
  /** Fork until exec. */
  spawnMs?: number;
  /** exec until the guest answered that its handler is loaded, or the port opened. */
  readyMs?: number;
  /** Of readyMs, the import of the handler, as the guest reports it. */
  importMs?: number;
  totalMs: number;
}

/** Writer: node agent. Id: the instance's, `i-…`. Removed when the instance is gone. */
export interface InstanceRecord {
  id: string;
  node: string;
  functionName: string;
  revisionId: string;
  state: InstanceState;
  endpoint: InstanceEndpoint;
  concurrency: number;
  /** Why it was started: `cold` request, `rollout`, `scale`, `adopted` after an agent's restart. */
  reason: StartReason;
  phases: StartPhases;
  startedAtMs: number;
  readyAtMs: number;
}

export type StartReason = 'cold' | 'rollout' | 'scale';

/** A node agent's heartbeat. Writer: node agent. Id: the node's name. */
export interface NodeRecord {
  name: string;
  /** Base URL of the agent's API. */
  address: string;
  cpuMillis: number;
  memoryBytes: number;
  /** Sum of the memory limits of its instances. */
  memoryReservedBytes: number;
  instances: number;
  version: string;
  heartbeatAtMs: number;
}

/** A gateway's heartbeat. Writer: gateway. Id: its name. */
export interface GatewayRecord {
  name: string;
  address: string;
  version: string;
  heartbeatAtMs: number;
}

/** Which scheduler compares desired with actual. Writer: the scheduler it names. Id: `leader`. */
export interface SchedulerRecord {
  /** Unique to one run of a scheduler. */
  leader: string;
}

/** What one gateway sees of one revision. Writer: gateway. Id: `GATEWAY:REVISION`. */
export interface DemandRecord {
  gateway: string;
  functionName: string;
  revisionId: string;
  running: number;
  waiting: number;
  /** Instances by id with their leases held here; idle ones since when. */
  instances: Record<string, { leases: number; idleSinceMs: number }>;
  lastRequestAtMs: number;
  updatedAtMs: number;
}
