import type {
  FunctionRecord,
  InstanceRecord,
  NodeRecord,
  RevisionRecord,
  RolloutRecord,
} from '../lib/records.ts';
import { isServing } from './activity.ts';
import { placeNodes, rank } from './place.ts';

export interface RolloutInput {
  functionRecord: FunctionRecord | undefined;
  revision: RevisionRecord;
  rollout: RolloutRecord | undefined;
  instances: readonly InstanceRecord[];
  /** Live nodes. */
  nodes: readonly NodeRecord[];
}

export type RolloutStep =
  /** Nothing is to be done: the function is gone, or an earlier run ended it. */
  | { kind: 'done' }
  /** A later deploy of the function has begun. */
  | { kind: 'superseded'; byGeneration: number }
  /** An instance of the revision is ready already. */
  | { kind: 'ready' }
  | { kind: 'start'; nodes: NodeRecord[] }
  | { kind: 'no-node' }
  | { kind: 'no-room' };

/** What the rollout of a revision needs now. */
export function decideRollout(input: RolloutInput): RolloutStep {
  const { functionRecord, revision, rollout, instances, nodes } = input;
  if (functionRecord === undefined) return { kind: 'done' };
  if (rollout !== undefined && rollout.state !== 'starting') return { kind: 'done' };
  const byGeneration = functionRecord.generation;
  if (byGeneration > revision.generation) return { kind: 'superseded', byGeneration };
  const names = new Set(nodes.map(({ name }) => name));
  const isThere = (instance: InstanceRecord): boolean =>
    instance.revisionId === revision.id && instance.state === 'ready' && names.has(instance.node);
  if (instances.some(isThere)) return { kind: 'ready' };
  if (nodes.length === 0) return { kind: 'no-node' };
  const { memoryBytes } = revision.spec;
  const places = placeNodes(nodes, instances.filter(isServing), revision.id);
  const ranked = rank(places, { memoryBytes }).flatMap(
    ({ name }) => nodes.find((node) => node.name === name) ?? [],
  );
  return ranked.length === 0 ? { kind: 'no-room' } : { kind: 'start', nodes: ranked };
}
