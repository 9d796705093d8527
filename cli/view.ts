import type { TrafficShare } from '../lib/records.ts';

const SECOND_MS = 1000;
const UNITS = [
  ['d', 86_400 * SECOND_MS],
  ['h', 3600 * SECOND_MS],
  ['m', 60 * SECOND_MS],
  ['s', SECOND_MS],
] as const;

/** How long ago, in one unit: `3m ago`. */
export function ageOf(timeMs: number, nowMs: number): string {
  const ms = Math.max(0, nowMs - timeMs);
  for (const [name, unitMs] of UNITS) {
    if (ms >= unitMs) return `${Math.floor(ms / unitMs)}${name} ago`;
  }
  return 'just now';
}

/** `hello-00002`, or with shares when there are several; `-` before the first. */
export function trafficText(traffic: readonly TrafficShare[]): string {
  const [only, second] = traffic;
  if (only === undefined) return '-';
  if (second === undefined && only.percent === 100) return only.revisionId;
  return traffic.map((share) => `${share.revisionId} ${share.percent}%`).join(', ');
}
