import type { NewDeployEvent } from '../deploy-events.ts';
import { HearthError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { RecordKind, RecordKinds } from '../records.ts';
import type { Log } from '../telemetry/log.ts';
import type { Connection, OpenBlocking } from './connection.ts';
import { DeployEvents } from './deploy-stream.ts';
import { type StoreKeys, storeKeys } from './keys.ts';
import { PUT_SCRIPT, REMOVE_SCRIPT } from './record-script.ts';
import { parseVersioned } from './replies.ts';
import type { PutOptions, Store, Versioned, WatchOptions } from './store.ts';
import { watchChanges } from './watch.ts';

export interface RedisStoreParts {
  prefix: string;
  log: Log;
  connection: Connection;
  openBlocking: OpenBlocking;
}

/** The records as one hash a kind, their changes as one stream, deploys as a stream each. */
export class RedisStore implements Store {
  readonly #parts: RedisStoreParts;
  readonly #keys: StoreKeys;
  readonly #deploys: DeployEvents;
  readonly #closing = new AbortController();

  constructor(parts: RedisStoreParts) {
    this.#parts = parts;
    this.#keys = storeKeys(parts.prefix);
    this.#deploys = new DeployEvents({ ...parts, keys: this.#keys });
  }

  async get<K extends RecordKind>(
    kind: K,
    id: string,
  ): Promise<Versioned<RecordKinds[K]> | undefined> {
    const text = await this.#parts.connection.call('HGET', this.#keys.kind(kind), id);
    return typeof text === 'string' ? parseVersioned<K>(text) : undefined;
  }

  async list<K extends RecordKind>(kind: K): Promise<Versioned<RecordKinds[K]>[]> {
    const texts = await this.#parts.connection.call('HVALS', this.#keys.kind(kind));
    return (texts as string[]).map((text) => parseVersioned<K>(text));
  }

  async put<K extends RecordKind>(
    kind: K,
    id: string,
    record: RecordKinds[K],
    options: PutOptions = {},
  ): Promise<number> {
    const json = JSON.stringify(record);
    const [ok, version] = await this.#write(PUT_SCRIPT, { kind, id, options, json });
    if (ok === 1) return version;
    throw conflict(`${kind} "${id}"`, options, version);
  }

  async remove(kind: RecordKind, id: string, options: PutOptions = {}): Promise<boolean> {
    const [ok, version] = await this.#write(REMOVE_SCRIPT, { kind, id, options });
    if (ok === 0) throw conflict(`${kind} "${id}"`, options, version);
    return ok === 1;
  }

  async watch(options: WatchOptions): Promise<void> {
    const signal = AbortSignal.any([options.signal, this.#closing.signal]);
    await watchChanges({ ...this.#parts, keys: this.#keys }, { ...options, signal });
  }

  appendDeployEvent(buildId: string, event: NewDeployEvent): Promise<void> {
    return this.#deploys.append(buildId, event);
  }

  readDeployEvents(
    ...args: Parameters<Store['readDeployEvents']>
  ): ReturnType<Store['readDeployEvents']> {
    return this.#deploys.read(...args);
  }

  async ping(): Promise<void> {
    await this.#parts.connection.call('PING');
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#deploys.close();
    this.#parts.connection.close();
  }

  async #write(
    script: string,
    write: { kind: RecordKind; id: string; options: PutOptions; json?: string },
  ): Promise<[number, number]> {
    const { kind, id, options, json } = write;
    const keys = [this.#keys.kind(kind), this.#keys.changes, this.#keys.version];
    const words = [kind, id, options.expectVersion ?? '', LIMITS.eventStreamLengthMax];
    if (json !== undefined) words.push(json);
    const { connection } = this.#parts;
    return (await connection.call('EVAL', script, keys.length, ...keys, ...words)) as [
      number,
      number,
    ];
  }
}

function conflict(what: string, options: PutOptions, version: number): HearthError {
  const stored = version === 0 ? 'it does not exist' : `its version is ${version}`;
  return new HearthError(
    'Conflict',
    `cannot write ${what} as version ${options.expectVersion} was expected: ${stored}`,
    { hint: 'read it again and repeat the change' },
  );
}
