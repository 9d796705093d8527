import { HearthError } from '../../lib/errors.ts';
import { LIMITS } from '../../lib/limits.ts';
import { formatBytes } from '../../lib/units.ts';

/** What a node has, and what its instances have been promised. Starting ones count. */
export interface NodeLoad {
  node: string;
  instances: number;
  memoryReservedBytes: number;
  /** Memory that instances may have together. */
  memoryForInstancesBytes: number;
}

/** The share of a node's memory that instances may have; the rest is for daemons and page cache. */
export function memoryForInstances(nodeMemoryBytes: number): number {
  return Math.floor((nodeMemoryBytes * LIMITS.agentMemoryPercent) / 100);
}

/** NodeFull when an instance of `memoryBytes` does not fit; undefined when it does. */
export function refusal(load: NodeLoad, memoryBytes: number): HearthError | undefined {
  if (load.instances >= LIMITS.agentInstancesMax) {
    return new HearthError(
      'NodeFull',
      `node "${load.node}" runs ${load.instances} instances, limit ${LIMITS.agentInstancesMax}`,
    );
  }
  const freeBytes = load.memoryForInstancesBytes - load.memoryReservedBytes;
  if (memoryBytes <= freeBytes) return undefined;
  return new HearthError(
    'NodeFull',
    `node "${load.node}" has ${formatBytes(Math.max(0, freeBytes))} left for instances, ` +
      `asked are ${formatBytes(memoryBytes)}`,
    {
      hint: 'lower the function’s memory, stop other functions, or add a node',
      details: { ...load, memoryBytes },
    },
  );
}
