import { setInterval } from 'node:timers/promises';
import { LIMITS } from '../lib/limits.ts';
import { createWorker, type JobWorker, type QueueOptions, type Queues } from '../lib/queue.ts';
import type { Log } from '../lib/telemetry/log.ts';

export interface ComparisonsOptions {
  redis: QueueOptions;
  queues: Queues;
  log: Log;
  /** One comparison of desired with actual. */
  run(): Promise<void>;
}

/** Without a comparison for so long, the repetition itself may be lost with data of Redis. */
const SILENT_MS = 5_000;

/** The repeated comparisons, from the time this scheduler leads until it no longer does. */
export class Comparisons {
  readonly #options: ComparisonsOptions;
  #worker: JobWorker | undefined;
  #repeating: AbortController | undefined;
  #lastMs = 0;

  constructor(options: ComparisonsOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { redis, run } = this.#options;
    this.#lastMs = performance.now() - SILENT_MS;
    const comparison = async (): Promise<void> => {
      this.#lastMs = performance.now();
      await run();
    };
    this.#worker = createWorker('reconcile', comparison, { ...redis, concurrency: 1 });
    this.#repeating = new AbortController();
    void this.#keepRepeating(this.#repeating.signal);
  }

  async stop(): Promise<void> {
    this.#repeating?.abort();
    await this.#worker?.close();
    this.#worker = undefined;
  }

  async #keepRepeating(signal: AbortSignal): Promise<void> {
    await this.#repeat();
    try {
      const everyMs = LIMITS.reconcileMs;
      for await (const _tick of setInterval(everyMs, undefined, { signal, ref: false })) {
        await this.#repeat();
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  async #repeat(): Promise<void> {
    if (performance.now() - this.#lastMs < SILENT_MS) return;
    try {
      await this.#options.queues.repeat('reconcile', {}, LIMITS.reconcileMs);
    } catch (error) {
      this.#options.log.warn({ err: error }, 'repetition not set up');
    }
  }
}
