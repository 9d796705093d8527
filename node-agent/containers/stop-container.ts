import { setTimeout as delay } from 'node:timers/promises';
import type { Container } from '../engine/engine-types.ts';
import type { ContainerLog } from '../logs/container-log.ts';

export interface StopOptions {
  signal: NodeJS.Signals;
  /** From the signal until SIGKILL. */
  graceMs: number;
  log: ContainerLog | undefined;
}

/** Asks a container to end, and kills what is still there after its time. Resolves when it has ended. */
export async function stopContainer(container: Container, options: StopOptions): Promise<void> {
  const { signal, graceMs, log } = options;
  const over = new AbortController();
  const grace = delay(graceMs, 'grace-over' as const, { signal: over.signal });
  grace.catch(() => {});
  container.signal(signal);
  // What is held cannot act on its signal
  if (container.paused) await container.resume().catch(() => {});
  const first = await Promise.race([container.exited, grace]);
  over.abort();
  if (first !== 'grace-over') return;
  log?.system(`KilledAfterGrace: still there ${graceMs / 1000} s after ${signal}`);
  await container.kill({ afterGrace: true });
}
