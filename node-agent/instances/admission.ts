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
  /** Processes that instances may have already, by their limits. */
  pidsReserved: number;
}

/** What an instance is promised. */
export interface Demand {
  memoryBytes: number;
  pids: number;
}

/** What instances were promised together. */
export function sumOf(demands: readonly Demand[]): Demand {
  return demands.reduce(
    (sum, { memoryBytes, pids }) => ({
      memoryBytes: sum.memoryBytes + memoryBytes,
      pids: sum.pids + pids,
    }),
    { memoryBytes: 0, pids: 0 },
  );
}

/** The share of a node's memory that instances may have; the rest is for daemons and page cache. */
export function memoryForInstances(nodeMemoryBytes: number): number {
  return Math.floor((nodeMemoryBytes * LIMITS.agentMemoryPercent) / 100);
}

/** NodeFull when an instance does not fit; undefined when it does. */
export function refusal(load: NodeLoad, { memoryBytes, pids }: Demand): HearthError | undefined {
  if (load.instances >= LIMITS.agentInstancesMax) {
    return new HearthError(
      'NodeFull',
      `node "${load.node}" runs ${load.instances} containers, limit ${LIMITS.agentInstancesMax}`,
    );
  }
  const freePids = LIMITS.agentPidsMax - load.pidsReserved;
  if (pids > freePids) {
    return new HearthError(
      'NodeFull',
      `node "${load.node}" has ${Math.max(0, freePids)} processes left for containers of ` +
        `${LIMITS.agentPidsMax}, asked are ${pids}`,
      {
        hint: 'ask for fewer pids, stop functions or containers, or add a node',
        details: { ...load, pids },
      },
    );
  }
  const freeBytes = load.memoryForInstancesBytes - load.memoryReservedBytes;
  if (memoryBytes <= freeBytes) return undefined;
  return new HearthError(
    'NodeFull',
    `node "${load.node}" has ${formatBytes(Math.max(0, freeBytes))} left for containers, ` +
      `asked are ${formatBytes(memoryBytes)}`,
    {
      hint: 'ask for less memory, stop functions or containers, or add a node',
      details: { ...load, memoryBytes },
    },
  );
}
