import { LIMITS } from '../../lib/limits.ts';
import type { InstanceRecord, NodeRecord } from '../../lib/records.ts';
import type { Store } from '../../lib/store/store.ts';
import type { Log } from '../../lib/telemetry/log.ts';
import { recordDiff } from './record-diff.ts';
import type { RecordWriter } from './record-writer.ts';

export interface HeartbeatOptions {
  store: Store;
  records: RecordWriter;
  log: Log;
  /** The node as it is now. */
  node(): NodeRecord;
  /** Records of the instances that exist now. */
  instances(): InstanceRecord[];
}

/** Beats between two comparisons of the store with what is there. */
const BEATS_PER_RECONCILE = 5;

/**
 * Says every `LIMITS.heartbeatMs` that the node lives, and repairs the store's picture of it: now
 * and then, and at once when the store comes back.
 */
export class Heartbeat {
  readonly #options: HeartbeatOptions;
  #timer: NodeJS.Timeout | undefined;
  #beats = 0;
  #missed = 0;
  #running: Promise<void> | undefined;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
  }

  /** Beats at once, then regularly; a beat that takes longer than the interval delays the next. */
  start(): void {
    this.#timer = setInterval(() => this.#tick(), LIMITS.heartbeatMs);
    this.#tick();
  }

  /** Stops, and takes the node's record away. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#running;
    const { store, log, node } = this.#options;
    await store.remove('node', node().name).catch((error: unknown) => {
      log.warn({ err: error }, 'node record not removed');
    });
  }

  #tick(): void {
    this.#running ??= this.#beat().finally(() => {
      this.#running = undefined;
    });
  }

  async #beat(): Promise<void> {
    const { store, log, node } = this.#options;
    try {
      const record = node();
      await store.put('node', record.name, record);
      if (this.#missed > 0 || this.#beats % BEATS_PER_RECONCILE === 0) await this.#reconcile();
      this.#beats++;
      this.#missed = 0;
    } catch (error) {
      this.#missed++;
      log.warn({ err: error, missed: this.#missed }, 'heartbeat missed');
    }
  }

  async #reconcile(): Promise<void> {
    const { store, records, node, instances } = this.#options;
    const stored = (await store.list('instance')).map((versioned) => versioned.record);
    const diff = recordDiff(node().name, instances(), stored);
    for (const record of diff.put) void records.put(record);
    for (const id of diff.remove) void records.remove(id);
  }
}
