import type { ScaleSpec } from '../lib/spec/spec.ts';

/** Requests of a revision at one moment, over all gateways. */
export interface Load {
  running: number;
  waiting: number;
}

/**
 * Instances that the load needs, within the function's bounds. At concurrency 50, 120 requests
 * need 3 instances; none need `min`.
 */
export function desiredCount(load: Load, spec: { concurrency: number; scale: ScaleSpec }): number {
  const { min, max } = spec.scale;
  const needed = Math.ceil((load.running + load.waiting) / Math.max(1, spec.concurrency));
  return Math.max(min, Math.min(needed, max));
}

/** An instance as the choice of which to stop sees it. */
export interface IdleCandidate {
  id: string;
  /** Requests that any gateway has on it. */
  leases: number;
  /** When it last had a request, or became ready. */
  activeAtMs: number;
}

/**
 * Which instances to stop: those above `desired` that nobody leases and that were idle for
 * `idleMs`, longest idle first.
 */
export function pickSurplus(
  candidates: readonly IdleCandidate[],
  rule: { desired: number; idleMs: number },
  nowMs: number,
): string[] {
  const surplus = candidates.length - rule.desired;
  if (surplus <= 0) return [];
  return candidates
    .filter(({ leases, activeAtMs }) => leases === 0 && nowMs - activeAtMs >= rule.idleMs)
    .sort((a, b) => a.activeAtMs - b.activeAtMs || compare(a.id, b.id))
    .slice(0, surplus)
    .map(({ id }) => id);
}

/** Order of texts by code unit: the same on every machine. */
export function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
