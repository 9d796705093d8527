import type { Store } from '../../lib/store/store.ts';
import type { Log } from '../../lib/telemetry/log.ts';
import { cancelled } from './build-records.ts';

const RETRY_MS = 1_000;

/** Aborts builds under way whose record says `cancelled`: the gateway's way to say so. */
export class CancelWatch {
  readonly #running = new Map<string, AbortController>();
  readonly #closing = new AbortController();

  constructor(store: Store, log: Log) {
    void this.#watch(store, log);
  }

  /** A signal that aborts with BuildCancelled; `done` forgets the build. */
  open(buildId: string): { signal: AbortSignal; done(): void } {
    const controller = new AbortController();
    this.#running.set(buildId, controller);
    const done = (): void => {
      // The same build may have been begun again meanwhile.
      if (this.#running.get(buildId) === controller) this.#running.delete(buildId);
    };
    return { signal: controller.signal, done };
  }

  close(): void {
    this.#closing.abort();
  }

  async #watch(store: Store, log: Log): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        await store.watch({
          kinds: ['build'],
          signal,
          onChange: (change) => {
            if (change.kind !== 'build' || change.record?.state !== 'cancelled') return;
            this.#running.get(change.id)?.abort(cancelled());
          },
        });
      } catch (error) {
        if (signal.aborted) return;
        log.warn({ err: error }, 'builds are not watched');
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }
}
