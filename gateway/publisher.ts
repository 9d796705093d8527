import { LIMITS } from '../lib/limits.ts';
import type { DemandRecord, GatewayRecord } from '../lib/records.ts';
import type { Store } from '../lib/store/store.ts';
import type { Log } from '../lib/telemetry/log.ts';
import { VERSION } from '../lib/version.ts';
import { demandOf, isDemandDue } from './demand.ts';
import type { Pools } from './pool/pools.ts';

export interface PublisherOptions {
  store: Store;
  pools: Pools;
  gateway: string;
  /** Base URL of this gateway. */
  address(): string;
  log: Log;
}

/** Keeps the gateway's own records in the store: its heartbeat and the demand it sees. */
export class Publisher {
  readonly #options: PublisherOptions;
  readonly #published = new Map<string, DemandRecord>();
  readonly #timers: NodeJS.Timeout[] = [];
  #beating: Promise<void> | undefined;
  #telling: Promise<void> | undefined;

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  /** Resolves when the first heartbeat is stored: from then on agents wait for this gateway. */
  async start(): Promise<void> {
    await this.#beat();
    this.#timers.push(
      setInterval(() => {
        this.#beating ??= this.#guard(this.#beat()).finally(() => {
          this.#beating = undefined;
        });
      }, LIMITS.heartbeatMs),
      setInterval(() => {
        this.#telling ??= this.#guard(this.#tellDemand()).finally(() => {
          this.#telling = undefined;
        });
      }, LIMITS.demandMs),
    );
  }

  /** Removes what it has put. */
  async stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    await Promise.all([this.#beating, this.#telling]);
    const { store, gateway } = this.#options;
    const keys = [...this.#published.keys()];
    await this.#guard(
      Promise.all([
        ...keys.map((key) => store.remove('demand', key)),
        store.remove('gateway', gateway),
      ]),
    );
  }

  async #beat(): Promise<void> {
    const { store, gateway, address } = this.#options;
    const record: GatewayRecord = {
      name: gateway,
      address: address(),
      version: VERSION,
      heartbeatAtMs: Date.now(),
    };
    await store.put('gateway', gateway, record);
  }

  async #tellDemand(): Promise<void> {
    const { store } = this.#options;
    const seen = new Set<string>();
    for (const record of this.#records()) {
      const key = `${record.gateway}:${record.revisionId}`;
      seen.add(key);
      if (!isDemandDue(this.#published.get(key), record)) continue;
      await store.put('demand', key, record);
      this.#published.set(key, record);
    }
    for (const key of [...this.#published.keys()].filter((known) => !seen.has(known))) {
      await store.remove('demand', key);
      this.#published.delete(key);
    }
  }

  *#records(): Generator<DemandRecord> {
    const { pools, gateway } = this.#options;
    const nowMs = performance.now();
    const epochMs = Date.now() - nowMs;
    for (const { revision, pool, lastRequestMs } of [...pools.all()]) {
      const { id: revisionId, functionName } = revision;
      yield demandOf({ gateway, functionName, revisionId, pool, epochMs, lastRequestMs, nowMs });
    }
  }

  /** The store being away is no reason to stop: the next tick tries again. */
  async #guard(work: Promise<unknown>): Promise<void> {
    try {
      await work;
    } catch (error) {
      this.#options.log.warn({ err: error }, 'gateway records not stored');
    }
  }
}
