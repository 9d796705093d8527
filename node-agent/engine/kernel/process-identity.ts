import { readFileSync } from 'node:fs';

/** A process of this machine. */
export interface ProcessIdentity {
  pid: number;
  /** As of `processStartTime`. */
  startTime: string;
}

/** Start time of a process in clock ticks since boot (proc(5), field 22): with the pid, unique. */
export function processStartTime(pid: number): string {
  return parseStat(readFileSync(`/proc/${pid}/stat`, 'latin1')).startTime;
}

/** True if the process with this pid is the one that started then, and it has not ended. */
export function isSameProcess(pid: number, startTime: string): boolean {
  try {
    const stat = parseStat(readFileSync(`/proc/${pid}/stat`, 'latin1'));
    return stat.startTime === startTime && stat.state !== 'Z' && stat.state !== 'X';
  } catch {
    return false;
  }
}

/** The name, field 2, may hold spaces and parentheses: fields count from behind its last one. */
export function parseStat(stat: string): { state: string; startTime: string } {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0] ?? '', startTime: fields[19] ?? '' };
}
