import type { StartPhases } from '../../lib/records.ts';

/** Where the time of a call went that waited for a start; all in milliseconds. */
export interface ReceiptInput {
  /** From the request until it had its lease. */
  waitedMs: number;
  phases: StartPhases;
  /** From the lease until the instance's headers. */
  appMs: number;
}

/** The phases of a start in the order they happen, by the name they have in `Server-Timing`. */
export const PHASES = [
  ['pull', 'pullMs'],
  ['mount', 'mountMs'],
  ['spawn', 'spawnMs'],
  ['ready', 'readyMs'],
  ['import', 'importMs'],
] as const satisfies readonly (readonly [string, keyof StartPhases])[];

/**
 * A `Server-Timing` field (W3C) for a cold answer. `queue` is what the start itself does not
 * explain: waiting in the gateway and at the agent, and the way between them.
 */
export function coldReceipt(input: ReceiptInput): string {
  const { phases, waitedMs, appMs } = input;
  const queueMs = Math.max(0, waitedMs - phases.totalMs) + (phases.queueMs ?? 0);
  const parts = [metric('queue', queueMs)];
  for (const [name, key] of PHASES) {
    const durationMs = phases[key];
    if (durationMs !== undefined) parts.push(metric(name, durationMs));
  }
  parts.push(metric('app', appMs));
  return parts.join(', ');
}

function metric(name: string, durationMs: number): string {
  return `${name};dur=${durationMs.toFixed(2)}`;
}
