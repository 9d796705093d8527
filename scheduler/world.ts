import type {
  DemandRecord,
  FunctionRecord,
  GatewayRecord,
  InstanceRecord,
  NodeRecord,
  RevisionRecord,
  RolloutRecord,
} from '../lib/records.ts';

/** All records at one moment: what a decision is made of. */
export interface World {
  functions: readonly FunctionRecord[];
  revisions: readonly RevisionRecord[];
  rollouts: readonly RolloutRecord[];
  instances: readonly InstanceRecord[];
  nodes: readonly NodeRecord[];
  gateways: readonly GatewayRecord[];
  demand: readonly DemandRecord[];
}

/** What one scheduler remembers between two decisions. Losing it costs time, never an instance. */
export interface Memory {
  /** Since when the store has been answering; a node is called lost only after a steady while. */
  steadySinceMs: number;
  /** Nodes with instances but without a record, and since when. */
  goneSinceMs: ReadonlyMap<string, number>;
  /** When an instance, by id, was last seen with a lease, or told to have had one. */
  activeAtMs: ReadonlyMap<string, number>;
  /** Since when a revision, by id, has had more requests than its instances can take. */
  shortSinceMs: ReadonlyMap<string, number>;
  /** Failed starts in a row of a revision, by id. */
  failures: ReadonlyMap<string, Failures>;
  /** Nodes of the starts under way of a revision, by id. */
  starting: ReadonlyMap<string, readonly string[]>;
}

/** Starts of one revision that failed in a row, or whose instance died young. */
export interface Failures {
  count: number;
  /** No further start before this. */
  untilMs: number;
}

export type Action =
  | { type: 'start'; revisionId: string; node: string }
  | { type: 'drain'; instanceId: string; node: string; reason: string }
  | { type: 'forget'; kind: 'instance' | 'node' | 'gateway' | 'demand' | 'rollout'; id: string }
  /** The start allowance and the desired count of a revision, for its RolloutRecord. */
  | { type: 'allow'; revisionId: string; nodes: string[]; desired: number };

/** How many instances a revision has and should have; for metrics. */
export interface RevisionCount {
  functionName: string;
  revisionId: string;
  desired: number;
  actual: number;
}

export interface Decision {
  actions: Action[];
  counts: RevisionCount[];
  /** Revisions that need an instance which fits on no node. */
  unplaced: string[];
  /** What to remember of this decision. */
  memory: Pick<Memory, 'goneSinceMs' | 'activeAtMs' | 'shortSinceMs'>;
}

/** The memory of a scheduler that has just begun. */
export function emptyMemory(nowMs: number): Memory {
  return {
    steadySinceMs: nowMs,
    goneSinceMs: new Map(),
    activeAtMs: new Map(),
    shortSinceMs: new Map(),
    failures: new Map(),
    starting: new Map(),
  };
}
