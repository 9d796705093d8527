import { type Agent, request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';

export interface TimedCall {
  ms: number;
  status: number;
  /** The answer waited for a start. */
  isCold: boolean;
  /** Milliseconds by phase of that start, from `Server-Timing`. */
  phases: Record<string, number>;
}

/** `queue;dur=1.20, spawn;dur=3.40` (W3C Server Timing). */
export function parseServerTiming(field: string): Record<string, number> {
  const entries = field.split(',').map((part) => /^\s*([a-z]+);dur=([0-9.]+)/.exec(part));
  return Object.fromEntries(
    entries.filter((match) => match !== null).map(([, name, ms]) => [name, Number(ms)]),
  );
}

/** One GET, from the first byte sent until the last byte of the answer. */
export function timedCall(url: string, agent: Agent): Promise<TimedCall> {
  return new Promise((resolve, reject) => {
    const beganMs = performance.now();
    request(url, { agent }, (answer) => {
      answer.resume();
      answer.once('error', reject);
      answer.once('end', () => {
        const ms = performance.now() - beganMs;
        const timing = answer.headers['server-timing'];
        const phases = parseServerTiming(String(timing ?? ''));
        resolve({ ms, status: answer.statusCode ?? 0, isCold: timing !== undefined, phases });
      });
    })
      .once('error', reject)
      .end();
  });
}

/** Calls over and over until a connection is accepted; milliseconds from `beganMs`. */
export async function untilAnswered(socketPath: string, beganMs: number): Promise<number> {
  for (;;) {
    const isAnswered = await new Promise<boolean>((resolve) => {
      request({ socketPath, path: '/', agent: false }, (answer) => {
        answer.resume();
        answer.once('end', () => resolve(true));
      })
        .once('error', () => resolve(false))
        .end();
    });
    if (isAnswered) return performance.now() - beganMs;
    await delay(1);
  }
}
