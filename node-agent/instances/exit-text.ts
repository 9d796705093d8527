import { constants } from 'node:os';
import { formatBytes } from '../../lib/units.ts';
import type { ExitStatus } from '../engine/container-spec.ts';

/** What an instance might use, and what it used at most. */
export interface MemoryUse {
  limitBytes: number;
  peakBytes: number | undefined;
}

const SIGNAL_NAMES = new Map(Object.entries(constants.signals).map(([name, n]) => [n, name]));

/** How a process ended, to be read after a subject: `exited with signal SIGSEGV`. */
export function exitText(exit: ExitStatus, memory: MemoryUse): string {
  if (exit.oomKilled) return `ran out of memory (${memoryText(memory)})`;
  if (exit.startError !== undefined) {
    const { step, errno, message } = exit.startError;
    return `could not be started: ${step}: ${message} (${errno})`;
  }
  if (exit.signal !== undefined) return `exited with signal ${signalName(exit.signal)}`;
  return exit.code === undefined ? 'exited' : `exited ${exit.code}`;
}

/** `limit 256 MiB, peak 255 MiB`. */
export function memoryText({ limitBytes, peakBytes }: MemoryUse): string {
  const peak = peakBytes === undefined ? '' : `, peak ${formatBytes(peakBytes)}`;
  return `limit ${formatBytes(limitBytes)}${peak}`;
}

/** signal(7): 11 → `SIGSEGV`; a number that has no name stays one. */
export function signalName(signal: number): string {
  return SIGNAL_NAMES.get(signal) ?? `${signal}`;
}
