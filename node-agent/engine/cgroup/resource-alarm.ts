import type { EngineAction } from '../engine-event.ts';

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

/**
 * A write that does not fit fails as a whole and leaves what is too small for it: programs write up to 64 KiB at
 * once, and ext4 keeps the last blocks for its own tables.
 */
const DISK_LEFT_BYTES = 64 * 1024;

/** Whether a file system has no room for a further file, by what statfs(2) says of it. */
export function isDiskFull(fs: {
  bavail: number;
  bsize: number;
  files: number;
  ffree: number;
}): boolean {
  return fs.bavail * fs.bsize < DISK_LEFT_BYTES || (fs.files > 0 && fs.ffree === 0);
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
