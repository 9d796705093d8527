import { setTimeout as delay } from 'node:timers/promises';
import type { RecordKind, RecordKinds } from '../lib/records.ts';
import type { Change, Store, Versioned } from '../lib/store/store.ts';
import type { Log } from '../lib/telemetry/log.ts';
import type { World } from './world.ts';

const KINDS = [
  'function',
  'revision',
  'rollout',
  'instance',
  'node',
  'gateway',
  'demand',
] as const satisfies readonly RecordKind[];

type MirroredKind = (typeof KINDS)[number];
const RETRY_MS = 1_000;

/** The store's records in memory, fed by its changes. */
export class Mirror {
  readonly #tables = new Map<RecordKind, Map<string, Versioned<unknown>>>(
    KINDS.map((kind) => [kind, new Map()]),
  );
  #isReady = false;

  /** Whether all records have been seen once. */
  get isReady(): boolean {
    return this.#isReady;
  }

  /** Puts one change in and returns the record that it replaced. */
  apply(change: Change): unknown {
    const table = this.#tables.get(change.kind);
    const before = table?.get(change.id)?.record;
    if (change.record === undefined) table?.delete(change.id);
    else table?.set(change.id, { record: change.record, version: change.version });
    return before;
  }

  /** Forgets everything, as the store is about to tell everything again. */
  reset(): void {
    for (const table of this.#tables.values()) table.clear();
  }

  ready(): void {
    this.#isReady = true;
  }

  get<K extends MirroredKind>(kind: K, id: string): Versioned<RecordKinds[K]> | undefined {
    return this.#tables.get(kind)?.get(id) as Versioned<RecordKinds[K]> | undefined;
  }

  /** Everything at this moment. */
  world(): World {
    return {
      functions: this.#all('function'),
      revisions: this.#all('revision'),
      rollouts: this.#all('rollout'),
      instances: this.#all('instance'),
      nodes: this.#all('node'),
      gateways: this.#all('gateway'),
      demand: this.#all('demand'),
    };
  }

  #all<K extends MirroredKind>(kind: K): RecordKinds[K][] {
    const values = [...(this.#tables.get(kind)?.values() ?? [])];
    return values.map(({ record }) => record as RecordKinds[K]);
  }
}

export interface FollowOptions {
  store: Store;
  mirror: Mirror;
  signal: AbortSignal;
  log: Log;
  /** Called after each change with the record that it replaced. */
  onChange(change: Change, before: unknown): void;
}

/** Keeps `mirror` up to date until `signal` aborts. */
export async function followStore(options: FollowOptions): Promise<void> {
  const { store, mirror, signal, log } = options;
  while (!signal.aborted) {
    try {
      await store.watch({
        kinds: KINDS,
        signal,
        onChange: (change) => options.onChange(change, mirror.apply(change)),
        onReset: () => mirror.reset(),
        onReady: () => mirror.ready(),
      });
    } catch (error) {
      log.error({ err: error }, 'watching the store failed');
      mirror.reset();
      await delay(RETRY_MS, undefined, { signal }).catch(() => undefined);
    }
  }
}
