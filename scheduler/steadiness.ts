import { setInterval } from 'node:timers/promises';
import type { Store } from '../lib/store/store.ts';

export interface SteadinessOptions {
  store: Pick<Store, 'ping'>;
  signal: AbortSignal;
  everyMs: number;
  /** Called when the store did not answer, or when this process itself stood still. */
  onGap(): void;
}

const STILL_FACTOR = 3;

/** Asks the store again and again, as only a steady store makes an old heartbeat mean something. */
export async function watchSteadiness(options: SteadinessOptions): Promise<void> {
  const { store, signal, everyMs, onGap } = options;
  let lastMs = performance.now();
  try {
    for await (const _tick of setInterval(everyMs, undefined, { signal, ref: false })) {
      const isAnswered = await store.ping().then(
        () => true,
        () => false,
      );
      const nowMs = performance.now();
      if (!isAnswered || nowMs - lastMs > everyMs * STILL_FACTOR) onGap();
      lastMs = nowMs;
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
