import type { ErrorBody } from '../../lib/errors.ts';
import type { InstanceRecord } from '../../lib/records.ts';
import type { InstanceStatus } from '../api/types.ts';

const KEPT_MAX = 200;

/** How the last instances ended, for gateways that ask why a connection broke. */
export class EndedInstances {
  readonly #ended = new Map<string, InstanceStatus>();

  /** Remembers the end; `error` is what it means to a request that was in the instance. */
  put(record: InstanceRecord, error?: ErrorBody): void {
    this.#ended.set(record.id, error === undefined ? { record } : { record, error });
    const [oldest] = this.#ended.keys();
    if (this.#ended.size > KEPT_MAX && oldest !== undefined) this.#ended.delete(oldest);
  }

  get(id: string): InstanceStatus | undefined {
    return this.#ended.get(id);
  }
}
