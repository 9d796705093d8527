import { setTimeout as delay } from 'node:timers/promises';
import type { InstanceRecord } from '../../lib/records.ts';
import type { Store } from '../../lib/store/store.ts';
import type { Log } from '../../lib/telemetry/log.ts';

const RETRY_MS = 200;
const RETRY_MS_MAX = 2_000;

interface Pending {
  /** Absent: the record shall go. */
  record: InstanceRecord | undefined;
  written: PromiseWithResolvers<void>;
}

/**
 * Writes instance records behind the agent's back: a start does not wait for the store, and goes
 * well while the store is away. Per id only the newest wish is kept, so this is bounded by the
 * number of instances. Only this agent writes these ids, so no version is named.
 */
export class RecordWriter {
  readonly #store: Store;
  readonly #log: Log;
  readonly #pending = new Map<string, Pending>();
  readonly #closed = new AbortController();
  #running: Promise<void> | undefined;

  constructor(store: Store, log: Log) {
    this.#store = store;
    this.#log = log;
  }

  /** Resolves when it, or something newer of the same instance, is in the store. */
  put(record: InstanceRecord): Promise<void> {
    return this.#want(record.id, record);
  }

  /** As `put`, for a record that shall go. */
  remove(id: string): Promise<void> {
    return this.#want(id, undefined);
  }

  /** Writes not done yet. */
  get waiting(): number {
    return this.#pending.size;
  }

  /** Gives what is left `timeoutMs`, then stops. */
  async close(timeoutMs: number): Promise<void> {
    const over = new AbortController();
    const time = delay(timeoutMs, undefined, { signal: over.signal }).catch(() => {});
    await Promise.race([this.#running ?? Promise.resolve(), time]);
    over.abort();
    this.#closed.abort();
    await this.#running;
  }

  #want(id: string, record: InstanceRecord | undefined): Promise<void> {
    const written = this.#pending.get(id)?.written ?? Promise.withResolvers<void>();
    // Re-inserted, so that a newer wish does not overtake the order of the others.
    this.#pending.delete(id);
    this.#pending.set(id, { record, written });
    this.#kick();
    return written.promise;
  }

  #kick(): void {
    if (this.#pending.size === 0 || this.#closed.signal.aborted) return;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      this.#kick();
    });
  }

  async #run(): Promise<void> {
    let retryMs = RETRY_MS;
    // One turn later, so that what a caller wants together is seen together.
    await Promise.resolve();
    while (!this.#closed.signal.aborted) {
      const [next] = this.#pending;
      if (next === undefined) return;
      try {
        await this.#write(...next);
        retryMs = RETRY_MS;
      } catch (error) {
        this.#log.warn({ err: error, waiting: this.#pending.size }, 'instance record not written');
        await delay(retryMs, undefined, { signal: this.#closed.signal }).catch(() => {});
        retryMs = Math.min(RETRY_MS_MAX, retryMs * 2);
      }
    }
  }

  async #write(id: string, wish: Pending): Promise<void> {
    if (wish.record === undefined) await this.#store.remove('instance', id);
    else await this.#store.put('instance', id, wish.record);
    if (this.#pending.get(id) !== wish) return;
    this.#pending.delete(id);
    wish.written.resolve();
  }
}
