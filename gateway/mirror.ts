import type { RecordKind, RecordKinds } from '../lib/records.ts';
import type { Change, Store } from '../lib/store/store.ts';
import type { Log } from '../lib/telemetry/log.ts';

/** What the gateway keeps a copy of. */
export const MIRRORED = [
  'function',
  'build',
  'revision',
  'rollout',
  'instance',
  'node',
  'gateway',
] as const satisfies readonly RecordKind[];

export type MirroredKind = (typeof MIRRORED)[number];

type Table<K extends RecordKind> = Map<string, { record: RecordKinds[K]; epoch: number }>;
type Tables = { [K in MirroredKind]: Table<K> };

export type Listener = (change: Change) => void;

/** How long records that a new snapshot has not repeated are still believed. */
const SWEEP_MS = 3_000;
const RETRY_MS = 500;

/**
 * The store's records in memory. After the store was away all records come again: until then the
 * old ones stay, so that warm functions are served without a store; what is not repeated within
 * `SWEEP_MS` is taken as removed.
 */
export class Mirror {
  readonly #tables: Tables = {
    function: new Map(),
    build: new Map(),
    revision: new Map(),
    rollout: new Map(),
    instance: new Map(),
    node: new Map(),
    gateway: new Map(),
  };
  readonly #listeners: Listener[] = [];
  #epoch = 0;
  #isReady = false;

  /** Whether a first whole snapshot has been seen. */
  get isReady(): boolean {
    return this.#isReady;
  }

  get<K extends MirroredKind>(kind: K, id: string): RecordKinds[K] | undefined {
    return this.#tables[kind].get(id)?.record as RecordKinds[K] | undefined;
  }

  *all<K extends MirroredKind>(kind: K): Generator<RecordKinds[K]> {
    for (const entry of this.#tables[kind].values()) yield entry.record as RecordKinds[K];
  }

  count(kind: MirroredKind): number {
    return this.#tables[kind].size;
  }

  /** Called after each change, in the order the store saw them. */
  onChange(listener: Listener): void {
    this.#listeners.push(listener);
  }

  apply(change: Change): void {
    if (!isMirrored(change)) return;
    const table = this.#tables[change.kind] as Map<string, { record: unknown; epoch: number }>;
    if (change.record === undefined) table.delete(change.id);
    else table.set(change.id, { record: change.record, epoch: this.#epoch });
    for (const listener of this.#listeners) listener(change);
  }

  markReady(): void {
    this.#isReady = true;
  }

  /** A new snapshot begins. */
  beginEpoch(): number {
    return ++this.#epoch;
  }

  /** Drops what no snapshot since `epoch` has repeated. */
  sweep(epoch: number): void {
    for (const kind of MIRRORED) {
      const table: Map<string, { epoch: number }> = this.#tables[kind];
      const gone = [...table].filter(([, entry]) => entry.epoch < epoch).map(([id]) => id);
      for (const id of gone) this.apply({ kind, id, version: 0 });
    }
  }
}

function isMirrored(change: Change): change is Extract<Change, { kind: MirroredKind }> {
  return (MIRRORED as readonly RecordKind[]).includes(change.kind);
}

export interface FollowOptions {
  store: Store;
  mirror: Mirror;
  signal: AbortSignal;
  log: Log;
}

/** Keeps `mirror` up to date until `signal` aborts; a watch that fails is begun again. */
export async function followStore(options: FollowOptions): Promise<void> {
  const { store, mirror, signal, log } = options;
  const startEpoch = (): void => {
    const epoch = mirror.beginEpoch();
    setTimeout(() => mirror.sweep(epoch), SWEEP_MS).unref();
  };
  while (!signal.aborted) {
    try {
      await store.watch({
        kinds: MIRRORED,
        signal,
        onChange: (change) => mirror.apply(change),
        onReset: startEpoch,
        onReady: () => mirror.markReady(),
      });
    } catch (error) {
      if (signal.aborted) return;
      log.warn({ err: error }, 'watching the store failed');
    }
    if (signal.aborted) return;
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    startEpoch();
  }
}
