import type { DemandRecord } from '../lib/records.ts';
import type { Pool } from './pool/pool.ts';

export interface DemandInput {
  gateway: string;
  functionName: string;
  revisionId: string;
  pool: Pool;
  /** Unix time minus the monotonic time that the pool counts in. */
  epochMs: number;
  /** Monotonic time of the newest request; 0: none yet. */
  lastRequestMs: number;
  /** Monotonic time. */
  nowMs: number;
}

/** What one gateway sees of one revision, in Unix time. */
export function demandOf(input: DemandInput): DemandRecord {
  const { gateway, functionName, revisionId, pool, epochMs, lastRequestMs, nowMs } = input;
  const unix = (monotonicMs: number): number => Math.round(epochMs + monotonicMs);
  const instances: DemandRecord['instances'] = {};
  for (const { id, leases, idleSinceMs } of pool.instances) {
    instances[id] = { leases, idleSinceMs: unix(idleSinceMs) };
  }
  return {
    gateway,
    functionName,
    revisionId,
    running: pool.running,
    waiting: pool.waiting,
    instances,
    lastRequestAtMs: lastRequestMs === 0 ? 0 : unix(lastRequestMs),
    updatedAtMs: unix(nowMs),
  };
}

const REFRESH_MS = 2_000;

/** Whether `next` is worth a put: something changed, or it is not idle and the last is old. */
export function isDemandDue(last: DemandRecord | undefined, next: DemandRecord): boolean {
  if (last === undefined) return true;
  const isBusy = next.running + next.waiting > 0;
  if (isBusy && next.updatedAtMs - last.updatedAtMs >= REFRESH_MS) return true;
  return signature(last) !== signature(next);
}

function signature(record: DemandRecord): string {
  const { running, waiting, instances, lastRequestAtMs } = record;
  return JSON.stringify([running, waiting, instances, lastRequestAtMs]);
}
