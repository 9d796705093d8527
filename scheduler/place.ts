import { LIMITS } from '../lib/limits.ts';
import type { InstanceRecord, NodeRecord } from '../lib/records.ts';
import { compare } from './scale.ts';

/** A node as the choice of one sees it. */
export interface PlaceNode {
  name: string;
  /** Memory that may still be promised to instances. */
  freeBytes: number;
  instances: number;
  /** Instances of the revision in question. */
  ofRevision: number;
}

/**
 * Nodes that can take one more instance, best first: with the fewest of this revision, so that a
 * lost node takes few of them along; then with the most free memory; then by name.
 */
export function rank(nodes: readonly PlaceNode[], need: { memoryBytes: number }): PlaceNode[] {
  return nodes
    .filter((node) => fits(node, need.memoryBytes))
    .sort(
      (a, b) => a.ofRevision - b.ofRevision || b.freeBytes - a.freeBytes || compare(a.name, b.name),
    );
}

/** The best node, or undefined when none has room. */
export function place(
  nodes: readonly PlaceNode[],
  need: { memoryBytes: number },
): string | undefined {
  return rank(nodes, need)[0]?.name;
}

export function fits(node: PlaceNode, memoryBytes: number): boolean {
  return node.freeBytes >= memoryBytes && node.instances < LIMITS.agentInstancesMax;
}

/** `nodes` with what they hold of `revisionId`. */
export function placeNodes(
  nodes: readonly NodeRecord[],
  instances: readonly InstanceRecord[],
  revisionId: string,
): PlaceNode[] {
  return nodes.map((node) => ({
    name: node.name,
    freeBytes: capacityBytes(node) - node.memoryReservedBytes,
    instances: node.instances,
    ofRevision: instances.filter(
      (instance) => instance.node === node.name && instance.revisionId === revisionId,
    ).length,
  }));
}

/** The share of a node's memory that its agent gives to instances. */
function capacityBytes(node: NodeRecord): number {
  return Math.floor((node.memoryBytes * LIMITS.agentMemoryPercent) / 100);
}
