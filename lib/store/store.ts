import type { DeployEvent, NewDeployEvent } from '../deploy-events.ts';
import type { RecordKind, RecordKinds } from '../records.ts';

/** A record with the version that the next put must name. */
export interface Versioned<R> {
  record: R;
  version: number;
}

/** One change of one record, in the order the store saw it. `record` is absent after a removal. */
export type Change = {
  [K in RecordKind]: { kind: K; id: string; version: number; record?: RecordKinds[K] };
}[RecordKind];

export interface PutOptions {
  /** The version read before; 0: must not exist yet. Absent: last write wins (heartbeats only). */
  expectVersion?: number;
}

/**
 * Records, their changes and the streams of deploy events.
 * Every method throws HearthError StoreUnavailable when the store does not answer in time, and
 * Conflict when `expectVersion` is not the stored version.
 */
export interface Store {
  get<K extends RecordKind>(kind: K, id: string): Promise<Versioned<RecordKinds[K]> | undefined>;
  list<K extends RecordKind>(kind: K): Promise<Versioned<RecordKinds[K]>[]>;
  /** Returns the new version. */
  put<K extends RecordKind>(
    kind: K,
    id: string,
    record: RecordKinds[K],
    options?: PutOptions,
  ): Promise<number>;
  /** Returns whether it was there. */
  remove(kind: RecordKind, id: string, options?: PutOptions): Promise<boolean>;

  /**
   * All records of `kinds` first (as changes), then every later change, in order, until `signal`
   * aborts. After a gap (the store was away, or its stream was trimmed) `onReset` is called and
   * all records come again; whoever mirrors them forgets the old ones in `onReset`.
   */
  watch(options: WatchOptions): Promise<void>;

  appendDeployEvent(buildId: string, event: NewDeployEvent): Promise<void>;
  /** Events after `afterId` (`'0'`: from the start), waiting up to `blockMs` for the first. */
  readDeployEvents(
    buildId: string,
    options: { afterId: string; blockMs: number; signal?: AbortSignal },
  ): Promise<{ id: string; event: DeployEvent }[]>;

  /** Resolves when the store answers; for readiness and `doctor`. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

export interface WatchOptions {
  kinds: readonly RecordKind[];
  signal: AbortSignal;
  onChange(change: Change): void;
  onReset?(): void;
  /** Called once, when the first snapshot has been delivered. */
  onReady?(): void;
}
