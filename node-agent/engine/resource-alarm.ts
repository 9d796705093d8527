import type { EngineAction } from './engine-event.ts';

/** What of a container tells that it met a limit. */
export interface LimitCounts {
  oomKills: number;
  forksRefused: number;
  diskFull: boolean;
}

/** Counts of the last look, and whether forks were refused since the look before that. */
export interface AlarmState extends LimitCounts {
  forking: boolean;
}

/** Of a container that has met none. */
export const QUIET: AlarmState = { oomKills: 0, forksRefused: 0, diskFull: false, forking: false };

/**
 * What is to be said after a look. A program that forks against its limit, or stays on a full disk, is
 * one event and not one a look.
 */
export function alarmsOf(
  before: AlarmState,
  now: LimitCounts,
): { state: AlarmState; actions: EngineAction[] } {
  const forking = now.forksRefused > before.forksRefused;
  const actions: EngineAction[] = [];
  if (now.oomKills > before.oomKills) actions.push('oom');
  if (forking && !before.forking) actions.push('pids-limit');
  if (now.diskFull && !before.diskFull) actions.push('disk-limit');
  return { state: { ...now, forking }, actions };
}
