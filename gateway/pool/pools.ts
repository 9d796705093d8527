import type { InstanceRecord, RevisionRecord } from '../../lib/records.ts';
import type { Change } from '../../lib/store/store.ts';
import type { Mirror } from '../mirror.ts';
import { hasTraffic } from '../route.ts';
import { REROUTE, RevisionPool } from './revision-pool.ts';

export interface PoolsOptions {
  mirror: Mirror;
  start(revision: RevisionRecord): Promise<InstanceRecord>;
  /** The last lease of a draining instance was given back. */
  onDrained(instanceId: string): void;
}

/** How long an instance is believed that an agent told of and the store did not. */
const PROVISIONAL_MS = 10_000;

/** All pools by revision, kept in step with the mirror. */
export class Pools {
  readonly #options: PoolsOptions;
  readonly #pools = new Map<string, RevisionPool>();
  readonly #byInstance = new Map<string, RevisionPool>();
  /** Instances that an agent told of and the store did not yet. */
  readonly #provisional = new Map<string, InstanceRecord>();

  constructor(options: PoolsOptions) {
    this.#options = options;
    options.mirror.onChange((change) => this.#follow(change));
  }

  /** The pool of a revision, made with its first request or instance. */
  of(revision: RevisionRecord): RevisionPool {
    const known = this.#pools.get(revision.id);
    if (known !== undefined) return known;
    const pool = new RevisionPool({
      revision,
      start: this.#options.start,
      onStarted: (record) => this.#started(record),
      onDrained: this.#options.onDrained,
      now: () => performance.now(),
    });
    this.#pools.set(revision.id, pool);
    return pool;
  }

  find(revisionId: string): RevisionPool | undefined {
    return this.#pools.get(revisionId);
  }

  /** Requests that run on an instance through this gateway. */
  leasesOf(instanceId: string): number {
    return this.#byInstance.get(instanceId)?.pool.instance(instanceId)?.leases ?? 0;
  }

  all(): IterableIterator<RevisionPool> {
    return this.#pools.values();
  }

  /** An instance that the store has not told of yet. */
  provisional(id: string): InstanceRecord | undefined {
    return this.#provisional.get(id);
  }

  close(): void {
    for (const pool of this.#pools.values()) pool.close();
  }

  #follow(change: Change): void {
    if (change.kind === 'instance') this.#followInstance(change.id, change.record);
    else if (change.kind === 'revision') this.#followRevision(change.id, change.record);
    else if (change.kind === 'function') this.#followFunction(change.id);
  }

  #followInstance(id: string, record: InstanceRecord | undefined): void {
    if (record === undefined) {
      this.#byInstance.get(id)?.remove(id);
      this.#byInstance.delete(id);
      this.#forgetUnused();
      return;
    }
    const revision = this.#options.mirror.get('revision', record.revisionId);
    if (revision !== undefined) this.#place(this.of(revision), record);
  }

  #place(pool: RevisionPool, record: InstanceRecord): void {
    this.#byInstance.set(record.id, pool);
    if (record.state === 'ready') pool.put(record);
    else if (record.state === 'starting') pool.startingElsewhere.add(record.id);
    else if (record.state === 'draining') pool.pool.drain(record.id);
    else pool.remove(record.id);
  }

  /** A revision may be seen after its instances, as kinds come in no order. */
  #followRevision(id: string, revision: RevisionRecord | undefined): void {
    if (revision === undefined) {
      this.#forgetUnused();
      return;
    }
    for (const record of this.#options.mirror.all('instance')) {
      if (record.revisionId === id) this.#place(this.of(revision), record);
    }
  }

  #followFunction(name: string): void {
    const { mirror } = this.#options;
    for (const pool of this.#pools.values()) {
      const { id, functionName } = pool.revision;
      if (functionName !== name || hasTraffic(mirror.get('function', name), id)) continue;
      pool.dismiss(REROUTE);
    }
    this.#forgetUnused();
  }

  #started(record: InstanceRecord): void {
    const { mirror } = this.#options;
    // The store may have told more of it already, e.g. that it drains.
    this.#provisional.set(record.id, record);
    this.#followInstance(record.id, mirror.get('instance', record.id) ?? record);
    setTimeout(() => {
      this.#provisional.delete(record.id);
      if (mirror.get('instance', record.id) === undefined)
        this.#followInstance(record.id, undefined);
    }, PROVISIONAL_MS).unref();
  }

  #forgetUnused(): void {
    const { mirror } = this.#options;
    for (const [id, pool] of this.#pools) {
      const { functionName } = pool.revision;
      if (pool.pool.size > 0 || !pool.isIdle) continue;
      if (hasTraffic(mirror.get('function', functionName), id)) continue;
      pool.close();
      this.#pools.delete(id);
    }
  }
}
