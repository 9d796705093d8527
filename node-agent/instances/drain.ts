import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { LIMITS } from '../../lib/limits.ts';
import type { GatewayRecord } from '../../lib/records.ts';
import type { Instance } from './instance.ts';
import { ignoresSigterm } from './signal-mask.ts';

/** Names of the gateways whose heartbeat is fresh: those that may hold leases. */
export function liveGateways(records: readonly GatewayRecord[], nowMs: number): string[] {
  return records
    .filter((record) => nowMs - record.heartbeatAtMs <= LIMITS.nodeLostMs)
    .map((record) => record.name);
}

/** Whether every live gateway has let go. */
export function isReleased(live: readonly string[], releasedBy: ReadonlySet<string>): boolean {
  return live.every((gateway) => releasedBy.has(gateway));
}

export interface ReleaseOptions {
  timeoutMs: number;
  /** The gateways that live now. Rejects while the store is away. */
  liveGateways(): Promise<string[]>;
}

/**
 * Waits until all live gateways have released the instance, it is gone, or the time is over.
 * Gateways are read again now and then, as one of them may die meanwhile; while the store is away
 * nobody knows who lives, so the time decides.
 */
export async function awaitReleased(instance: Instance, options: ReleaseOptions): Promise<void> {
  const endMs = performance.now() + options.timeoutMs;
  while (performance.now() < endMs) {
    const live = await options.liveGateways().catch(() => undefined);
    if (live !== undefined && isReleased(live, instance.releasedBy)) return;
    const leftMs = endMs - performance.now();
    const woken = await nextRelease(instance, Math.max(0, Math.min(leftMs, LIMITS.heartbeatMs)));
    if (woken === 'gone') return;
  }
}

async function nextRelease(instance: Instance, ms: number): Promise<'released' | 'time' | 'gone'> {
  const over = new AbortController();
  const released = Promise.withResolvers<'released'>();
  const stopListening = instance.onRelease(() => released.resolve('released'));
  const time = delay(ms, 'time' as const, { signal: over.signal });
  time.catch(() => {});
  const gone = instance.gone.then(() => 'gone' as const);
  try {
    return await Promise.race([released.promise, time, gone]);
  } finally {
    over.abort();
    stopListening();
  }
}

/** How a process was ended. */
export type Termination = 'stopped' | 'killed-after-grace' | 'killed-without-handler';

/**
 * SIGTERM, then SIGKILL to what is still there after `graceMs`, or at once to a program that
 * SIGTERM cannot reach. Resolves when the process has ended.
 */
export async function terminate(instance: Instance, graceMs: number): Promise<Termination> {
  const { container } = instance;
  const status = await readFile(`/proc/${container.pid}/status`, 'utf8').catch(() => '');
  if (ignoresSigterm(status)) {
    await container.kill();
    return 'killed-without-handler';
  }
  const over = new AbortController();
  const grace = delay(graceMs, 'grace-over' as const, { signal: over.signal });
  grace.catch(() => {});
  container.signal('SIGTERM');
  const first = await Promise.race([container.exited, grace]);
  over.abort();
  if (first !== 'grace-over') return 'stopped';
  await container.kill({ afterGrace: true });
  return 'killed-after-grace';
}
