import type { DeployEvent, NewDeployEvent } from '../deploy-events.ts';
import { HearthError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { Connection, OpenBlocking } from './connection.ts';
import type { StoreKeys } from './keys.ts';
import { readEntries, type StreamEntry } from './replies.ts';

const EVENTS_PER_READ_MAX = 1_000;
const BLOCK_MS_MAX = 30_000;
const IDLE_READERS_MAX = 8;
const ENTRY_ID = /^\d{1,20}(-\d{1,20})?$/;

export interface DeployEventsParts {
  connection: Connection;
  openBlocking: OpenBlocking;
  keys: StoreKeys;
}

interface ReadOptions {
  afterId: string;
  blockMs: number;
  signal?: AbortSignal;
}

/** The streams of deploy events. Each waiting reader has a connection of its own. */
export class DeployEvents {
  readonly #parts: DeployEventsParts;
  readonly #idle: Connection[] = [];
  readonly #busy = new Set<Connection>();
  #isClosed = false;

  constructor(parts: DeployEventsParts) {
    this.#parts = parts;
  }

  async append(buildId: string, event: NewDeployEvent): Promise<void> {
    const key = this.#parts.keys.deploy(buildId);
    const json = JSON.stringify({ timeMs: Date.now(), ...event });
    await this.#parts.connection.atomic([
      ['XADD', key, 'MAXLEN', '~', LIMITS.buildLogLengthMax, '*', 'e', json],
      ['PEXPIRE', key, LIMITS.buildLogKeepMs],
    ]);
  }

  /** An abort ends the wait with no events. */
  async read(buildId: string, options: ReadOptions): Promise<{ id: string; event: DeployEvent }[]> {
    const { afterId, signal } = options;
    if (!ENTRY_ID.test(afterId)) {
      throw new HearthError('BadRequest', `"${afterId.slice(0, 80)}" is no position in a deploy`, {
        hint: "use '0' for the start, or the id of an event",
      });
    }
    const blockMs = Math.min(Math.floor(options.blockMs), BLOCK_MS_MAX);
    const words = ['COUNT', EVENTS_PER_READ_MAX] as const;
    const place = ['STREAMS', this.#parts.keys.deploy(buildId), afterId] as const;
    const there = await this.#parts.connection.call('XREAD', ...words, ...place);
    const entries = readEntries(there);
    if (entries.length > 0 || blockMs <= 0 || signal?.aborted === true) return entries.map(toEvent);
    const come = await this.#wait(['XREAD', ...words, 'BLOCK', blockMs, ...place], signal);
    return readEntries(come).map(toEvent);
  }

  close(): void {
    this.#isClosed = true;
    for (const connection of [...this.#idle, ...this.#busy]) connection.close();
    this.#idle.length = 0;
  }

  async #wait(
    words: readonly [string, ...(string | number)[]],
    signal: AbortSignal | undefined,
  ): Promise<unknown> {
    const connection = this.#take();
    const stop = (): void => connection.close();
    signal?.addEventListener('abort', stop, { once: true });
    let isReusable = false;
    try {
      const reply = await connection.call(...words);
      isReusable = true;
      return reply;
    } catch (error) {
      if (signal?.aborted === true) return undefined;
      throw error;
    } finally {
      signal?.removeEventListener('abort', stop);
      this.#giveBack(connection, isReusable && signal?.aborted !== true);
    }
  }

  #take(): Connection {
    if (this.#busy.size >= LIMITS.eventReadersMax || this.#isClosed) {
      throw new HearthError(
        'StoreUnavailable',
        `cannot follow one more deploy: ${this.#busy.size} are followed already`,
      );
    }
    const connection = this.#idle.pop() ?? this.#parts.openBlocking({ blockMs: BLOCK_MS_MAX });
    this.#busy.add(connection);
    return connection;
  }

  #giveBack(connection: Connection, isReusable: boolean): void {
    this.#busy.delete(connection);
    const isKept = isReusable && !this.#isClosed && this.#idle.length < IDLE_READERS_MAX;
    if (isKept) this.#idle.push(connection);
    else connection.close();
  }
}

function toEvent(entry: StreamEntry): { id: string; event: DeployEvent } {
  return { id: entry.id, event: JSON.parse(entry.fields.e ?? 'null') as DeployEvent };
}
