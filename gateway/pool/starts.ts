/** What the decision to start instances looks at. */
export interface StartsInput {
  /** Requests that wait in this gateway. */
  waiting: number;
  /** Requests at once per instance. */
  concurrency: number;
  /** Starts that are under way, by whoever asked. */
  starting: number;
  /** Instances that take requests. */
  live: number;
  scaleMax: number;
}

/** How many instances to start now, so that each waiter finds a slot: never above `scaleMax`. */
export function startsWanted(input: StartsInput): number {
  const needed = Math.ceil(input.waiting / Math.max(1, input.concurrency)) - input.starting;
  const allowed = input.scaleMax - input.live - input.starting;
  return Math.max(0, Math.min(needed, allowed));
}

const BACKOFF_MS_MAX = 60_000;

/**
 * How long no start is tried after `failures` starts in a row failed: nothing after the first,
 * then 1 s, 2 s, 4 s … 60 s.
 */
export function startBackoffMs(failures: number): number {
  if (failures < 2) return 0;
  return Math.min(BACKOFF_MS_MAX, 1000 * 2 ** Math.min(failures - 2, 10));
}
