import { setTimeout as delay } from 'node:timers/promises';
import { HearthError } from '../errors.ts';
import type { Log } from '../telemetry/log.ts';
import type { Connection, OpenBlocking } from './connection.ts';
import type { StoreKeys } from './keys.ts';
import { entryChange, hashChanges, readEntries, streamEntries } from './replies.ts';
import type { Change, WatchOptions } from './store.ts';

const BLOCK_MS = 5_000;
const CHANGES_PER_READ_MAX = 500;
const RETRY_MS = 250;

export interface WatchParts {
  log: Log;
  openBlocking: OpenBlocking;
  keys: StoreKeys;
}

/** Where a watcher stands: the last entry it saw and that entry's version. */
interface Position {
  entryId: string;
  version: number;
}

/** `Store.watch` over one connection of its own, until the signal aborts. */
export async function watchChanges(parts: WatchParts, options: WatchOptions): Promise<void> {
  if (options.signal.aborted) return;
  const connection = parts.openBlocking({ blockMs: BLOCK_MS });
  const close = (): void => connection.close();
  options.signal.addEventListener('abort', close, { once: true });
  try {
    await new Watch(connection, parts, options).run();
  } finally {
    options.signal.removeEventListener('abort', close);
    close();
  }
}

class Watch {
  readonly #connection: Connection;
  readonly #parts: WatchParts;
  readonly #options: WatchOptions;
  readonly #kinds: ReadonlySet<string>;
  #position: Position | undefined;
  #hadSnapshot = false;

  constructor(connection: Connection, parts: WatchParts, options: WatchOptions) {
    this.#connection = connection;
    this.#parts = parts;
    this.#options = options;
    this.#kinds = new Set(options.kinds);
  }

  async run(): Promise<void> {
    const { signal } = this.#options;
    while (!signal.aborted) {
      try {
        await this.#resume();
        while (!signal.aborted && this.#position !== undefined) await this.#follow();
      } catch (error) {
        if (signal.aborted) return;
        // Only the store's absence is survived here; a fault of the listener is its owner's.
        if (!(error instanceof HearthError) || error.code !== 'StoreUnavailable') throw error;
        await delay(RETRY_MS, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  /** Goes on where the watcher stood if that entry is still there, else takes all again. */
  async #resume(): Promise<void> {
    if (this.#position !== undefined) {
      const { entryId } = this.#position;
      const reply = await this.#connection.call(
        'XRANGE',
        this.#parts.keys.changes,
        entryId,
        entryId,
      );
      if (streamEntries(reply).length === 1) return;
    }
    await this.#snapshot();
  }

  /** All records and the stream's end at one moment, so no change is missed or comes twice. */
  async #snapshot(): Promise<void> {
    const { keys, log } = this.#parts;
    const { kinds, onChange, onReset, onReady } = this.#options;
    const [last, version, ...hashes] = await this.#connection.atomic([
      ['XREVRANGE', keys.changes, '+', '-', 'COUNT', 1],
      ['GET', keys.version],
      ...kinds.map((kind) => ['HGETALL', keys.kind(kind)] as const),
    ]);
    const changes = kinds.flatMap((kind, at) => hashChanges(kind, hashes[at]));
    this.#position = {
      entryId: streamEntries(last)[0]?.id ?? '0-0',
      version: Number(version ?? 0),
    };
    if (this.#hadSnapshot) {
      log.info({ records: changes.length }, 'watch starts again after a gap');
      onReset?.();
    }
    for (const change of changes) onChange(change);
    if (!this.#hadSnapshot) onReady?.();
    this.#hadSnapshot = true;
  }

  /** The next changes. A jump in the versions is a gap: the position is forgotten. */
  async #follow(): Promise<void> {
    const from = this.#position?.entryId ?? '0-0';
    const bounds = ['COUNT', CHANGES_PER_READ_MAX, 'BLOCK', BLOCK_MS] as const;
    const reply = await this.#connection.call(
      'XREAD',
      ...bounds,
      'STREAMS',
      this.#parts.keys.changes,
      from,
    );
    for (const entry of readEntries(reply)) {
      const change = entryChange(entry);
      if (change.version !== (this.#position?.version ?? 0) + 1) {
        this.#position = undefined;
        return;
      }
      this.#position = { entryId: entry.id, version: change.version };
      this.#deliver(change);
      if (this.#options.signal.aborted) return;
    }
  }

  #deliver(change: Change): void {
    if (this.#kinds.has(change.kind)) this.#options.onChange(change);
  }
}
