import { LIMITS } from '../lib/limits.ts';
import type { SchedulerRecord } from '../lib/records.ts';
import type { Versioned } from '../lib/store/store.ts';

/** A holder stops this long before others may take over: its clock and theirs may drift apart. */
const MARGIN_MS = 2_000;

/** What a scheduler knows of the lease. Times are of its own monotonic clock. */
export interface LeaseView {
  me: string;
  /** What the store says now. */
  stored: Versioned<SchedulerRecord> | undefined;
  /** The version seen last, and when it was new. */
  seen: { version: number; sinceMs: number } | undefined;
}

export type LeaseStep =
  /** Put the lease with this version expected: it is mine, or nobody's any more. */
  { kind: 'take'; expectVersion: number } | { kind: 'wait' };

/** Whether to take or renew the lease. One not renewed for `LIMITS.leaseMs` is anybody's. */
export function decideLease({ me, stored, seen }: LeaseView, nowMs: number): LeaseStep {
  if (stored === undefined) return { kind: 'take', expectVersion: 0 };
  const take: LeaseStep = { kind: 'take', expectVersion: stored.version };
  if (stored.record.leader === me) return take;
  const isSilent =
    seen !== undefined && seen.version === stored.version && nowMs - seen.sinceMs > LIMITS.leaseMs;
  return isSilent ? take : { kind: 'wait' };
}

/** Until when a lease whose put began at `sentAtMs` may be used. */
export function leaseEndMs(sentAtMs: number): number {
  return sentAtMs + LIMITS.leaseMs - MARGIN_MS;
}
