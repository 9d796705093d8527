import { LIMITS } from '../../lib/limits.ts';

/** The log of one function on the disk. */
export interface LogFolder {
  functionName: string;
  writtenAtMs: number;
}

/** Logs of functions that do not exist any more and wrote nothing for a day. */
export function expiredLogs(
  folders: readonly LogFolder[],
  existing: ReadonlySet<string>,
  nowMs: number,
): string[] {
  return folders
    .filter(({ functionName }) => !existing.has(functionName))
    .filter(({ writtenAtMs }) => nowMs - writtenAtMs > LIMITS.logKeepMs)
    .map(({ functionName }) => functionName);
}
