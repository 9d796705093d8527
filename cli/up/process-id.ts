import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** A process that cannot be mistaken for a later one with the same pid. */
export interface ProcessId {
  pid: number;
  /** Field 22 of /proc/PID/stat (proc_pid_stat(5)): start time in ticks since boot. */
  startTicks: string;
}

/** The process with this pid now; undefined when there is none or it is a zombie. */
export function identify(pid: number): ProcessId | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in field 2 may hold spaces and brackets: the fields begin after the last bracket.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z' || fields[0] === 'X') return undefined;
    return { pid, startTicks: fields[19] ?? '' };
  } catch {
    return undefined;
  }
}

export function isAlive(id: ProcessId): boolean {
  return identify(id.pid)?.startTicks === id.startTicks;
}

/** Resident memory of a process in bytes, undefined when it is gone. */
export function residentBytes(pid: number): number | undefined {
  const kib = statusNumber(pid, /^VmRSS:\s+(\d+) kB$/m);
  return kib === undefined ? undefined : kib * 1024;
}

/** Real uid of a process, undefined when it is gone. */
export function userOf(pid: number): number | undefined {
  return statusNumber(pid, /^Uid:\s+(\d+)/m);
}

/** The number that `pattern` finds in /proc/PID/status (proc_pid_status(5)). */
function statusNumber(pid: number, pattern: RegExp): number | undefined {
  try {
    const match = pattern.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return match === null ? undefined : Number(match[1]);
  } catch {
    return undefined;
  }
}

export function writeProcessFile(path: string, pid: number): void {
  const id = identify(pid);
  if (id !== undefined) writeFileSync(path, JSON.stringify(id), { mode: 0o600 });
}

export function readProcessFile(path: string): ProcessId | undefined {
  try {
    return parseProcessId(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

/** The process id in a file's text; undefined when the text is something else. */
export function parseProcessId(text: string): ProcessId | undefined {
  try {
    const { pid, startTicks } = JSON.parse(text) as Partial<ProcessId>;
    if (typeof startTicks !== 'string' || !Number.isInteger(pid)) return undefined;
    return pid !== undefined && pid > 1 ? { pid, startTicks } : undefined;
  } catch {
    return undefined;
  }
}

export interface EndOptions {
  /** How long the process may take to end by itself, then after SIGTERM, before SIGKILL. */
  waitMs: number;
  termMs: number;
}

/** Sees to it that the process named in the file is gone, and removes the file. */
export async function endLeftover(path: string, options: EndOptions): Promise<boolean> {
  const id = readProcessFile(path);
  const wasAlive = id !== undefined && isAlive(id);
  if (wasAlive && !(await waitUntilGone(id, options.waitMs))) {
    signal(id, 'SIGTERM');
    if (!(await waitUntilGone(id, options.termMs))) signal(id, 'SIGKILL');
    await waitUntilGone(id, options.termMs);
  }
  rmSync(path, { force: true });
  return wasAlive;
}

function signal(id: ProcessId, name: NodeJS.Signals): void {
  if (!isAlive(id)) return;
  try {
    process.kill(id.pid, name);
  } catch {
    // It ended between the look and the signal.
  }
}

const POLL_MS = 50;

async function waitUntilGone(id: ProcessId, ms: number): Promise<boolean> {
  for (let waited = 0; isAlive(id); waited += POLL_MS) {
    if (waited >= ms) return false;
    await sleep(POLL_MS);
  }
  return true;
}
