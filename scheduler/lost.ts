import { LIMITS } from '../lib/limits.ts';
import type { NodeRecord } from '../lib/records.ts';
import type { Action, Memory, World } from './world.ts';

/** How long the records of a node or gateway that went without a word are shown. */
const KEEP_MS = 10 * 60_000;

/** Nodes whose heartbeat is fresh; all of them while the store itself was away a moment ago. */
export function liveNodes(world: World, memory: Memory, nowMs: number): NodeRecord[] {
  if (!isSteady(memory, nowMs)) return [...world.nodes];
  return world.nodes.filter(({ heartbeatAtMs }) => nowMs - heartbeatAtMs <= LIMITS.nodeLostMs);
}

/** Since when the nodes of `world.instances` that have no record are missing. */
export function goneNodes(world: World, memory: Memory, nowMs: number): Map<string, number> {
  const known = new Set(world.nodes.map(({ name }) => name));
  const gone = new Map<string, number>();
  for (const { node } of world.instances) {
    if (!known.has(node)) gone.set(node, memory.goneSinceMs.get(node) ?? nowMs);
  }
  return gone;
}

/** Records that nobody will write again: of lost nodes, dead gateways, deleted functions. */
export function forgets(world: World, memory: Memory, nowMs: number): Action[] {
  if (!isSteady(memory, nowMs)) return [];
  const live = new Set(liveNodes(world, memory, nowMs).map(({ name }) => name));
  const gone = goneNodes(world, memory, nowMs);
  const isLost = (node: string): boolean => {
    const goneSinceMs = gone.get(node);
    if (goneSinceMs !== undefined) return nowMs - goneSinceMs > LIMITS.nodeLostMs;
    return !live.has(node);
  };
  const functions = new Set(world.functions.map(({ name }) => name));
  const gateways = new Map(world.gateways.map((record) => [record.name, record.heartbeatAtMs]));
  const isOld = (atMs: number): boolean => nowMs - atMs > KEEP_MS;
  const forget = (kind: ForgottenKind, ids: string[]): Action[] =>
    ids.map((id) => ({ type: 'forget', kind, id }));
  return [
    ...forget('instance', idsOf(world.instances.filter(({ node }) => isLost(node)))),
    ...forget('node', namesOf(world.nodes.filter((record) => isOld(record.heartbeatAtMs)))),
    ...forget('gateway', namesOf(world.gateways.filter((record) => isOld(record.heartbeatAtMs)))),
    ...forget(
      'demand',
      world.demand
        .filter(({ gateway, updatedAtMs }) => isOld(gateways.get(gateway) ?? updatedAtMs))
        .map(({ gateway, revisionId }) => `${gateway}:${revisionId}`),
    ),
    ...forget(
      'rollout',
      world.rollouts
        .filter(({ functionName }) => !functions.has(functionName))
        .map(({ revisionId }) => revisionId),
    ),
  ];
}

type ForgottenKind = Extract<Action, { type: 'forget' }>['kind'];

function isSteady(memory: Memory, nowMs: number): boolean {
  return nowMs - memory.steadySinceMs >= LIMITS.nodeLostMs;
}

function idsOf(records: readonly { id: string }[]): string[] {
  return records.map(({ id }) => id);
}

function namesOf(records: readonly { name: string }[]): string[] {
  return records.map(({ name }) => name);
}
