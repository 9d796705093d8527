import { setTimeout as sleep } from 'node:timers/promises';
import type { NewDeployEvent } from '../../lib/deploy-events.ts';
import { errnoCode, HearthError } from '../../lib/errors.ts';
import { LIMITS } from '../../lib/limits.ts';
import type { Store } from '../../lib/store/store.ts';

const PENDING_MAX = 2_000;
const AWAY_MS_MAX = 30_000;
const RETRY_MS = 500;

/**
 * The deploy events of one build, in order, written behind its back: a step does not wait for the
 * store. While more than `PENDING_MAX` wait, and beyond `LIMITS.buildLogBytesMax`, output of programs
 * is left out, and the log says so.
 */
export class EventLog {
  readonly #store: Store;
  readonly #buildId: string;
  readonly #pending: NewDeployEvent[] = [];
  #leftOut = 0;
  #outputBytes = 0;
  #writing: Promise<void> = Promise.resolve();
  #isWriting = false;
  #failed: unknown;

  constructor(store: Store, buildId: string) {
    this.#store = store;
    this.#buildId = buildId;
  }

  emit(event: NewDeployEvent): void {
    if (event.type === 'output' && !this.#takesOutput(event.text)) {
      this.#leftOut++;
      return;
    }
    if (this.#leftOut > 0) {
      this.#pending.push({ type: 'warning', text: `${this.#leftOut} lines of output left out` });
      this.#leftOut = 0;
    }
    this.#pending.push(event);
    if (this.#isWriting) return;
    this.#isWriting = true;
    this.#writing = this.#write();
  }

  #takesOutput(text: string): boolean {
    if (this.#pending.length >= PENDING_MAX) return false;
    // Once too much, nothing more: else shorter lines would pass and be torn out of their context
    this.#outputBytes += Buffer.byteLength(JSON.stringify(text));
    return this.#outputBytes <= LIMITS.buildLogBytesMax;
  }

  /** Resolves when everything is in the store. @throws HearthError StoreUnavailable */
  async flush(): Promise<void> {
    await this.#writing;
    if (this.#failed !== undefined) throw this.#failed;
  }

  async #write(): Promise<void> {
    try {
      for (let event = this.#pending.shift(); event !== undefined; event = this.#pending.shift()) {
        const next = event;
        await whileStoreIsAway(() => this.#store.appendDeployEvent(this.#buildId, next));
      }
    } catch (error) {
      this.#failed ??= error;
      this.#pending.length = 0;
    } finally {
      this.#isWriting = false;
    }
  }
}

/** Tries again while the store does not answer, for half a minute. */
export async function whileStoreIsAway<T>(work: () => Promise<T>): Promise<T> {
  const giveUpMs = performance.now() + AWAY_MS_MAX;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!isAway(error) || performance.now() > giveUpMs) throw error;
      await sleep(RETRY_MS);
    }
  }
}

function isAway(error: unknown): boolean {
  if (!(error instanceof HearthError)) return errnoCode(error) === 'ECONNREFUSED';
  return error.code === 'StoreUnavailable' || error.code === 'QueueUnavailable';
}
