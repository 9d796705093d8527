import { toHearthError } from '../lib/errors.ts';
import type { InstanceRecord } from '../lib/records.ts';
import type { Log } from '../lib/telemetry/log.ts';
import type { Agents } from './agents.ts';
import type { Mirror } from './mirror.ts';
import type { Pools } from './pool/pools.ts';

export interface DrainOptions {
  mirror: Mirror;
  pools: Pools;
  agents: Pick<Agents, 'released'>;
  gateway: string;
  log: Log;
  signal: AbortSignal;
}

const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 2_000;

/**
 * The gateway's part in ending an instance: the pool leases it no more, and once nothing runs on
 * it here its agent is told so. The agent ends it when every gateway has said that.
 */
export class Drain {
  readonly #options: DrainOptions;
  /** Instances whose agent is being told, or has been. */
  readonly #told = new Set<string>();

  /** To be made after `pools`, which must stop leasing first. */
  constructor(options: DrainOptions) {
    this.#options = options;
    options.mirror.onChange((change) => {
      if (change.kind !== 'instance') return;
      if (change.record?.state === 'draining') this.check(change.id);
      else this.#told.delete(change.id);
    });
  }

  /** Tells the agent if the instance drains and nothing runs on it here. */
  check(id: string): void {
    const { mirror, pools } = this.#options;
    const record = mirror.get('instance', id);
    if (record?.state !== 'draining' || this.#told.has(id)) return;
    if (pools.leasesOf(id) > 0) return;
    this.#told.add(id);
    void this.#tell(record);
  }

  /** Until the agent has taken it, or the instance is gone. */
  async #tell(record: InstanceRecord): Promise<void> {
    const { agents, gateway, mirror, signal, log } = this.#options;
    let pauseMs = RETRY_MS_MIN;
    while (!signal.aborted && mirror.get('instance', record.id) !== undefined) {
      try {
        await agents.released(record, { gateway });
        return;
      } catch (error) {
        const known = toHearthError(error);
        if (known.status === 404) return;
        log.warn({ instanceId: record.id, err: known.message }, 'release not told');
      }
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
      pauseMs = Math.min(RETRY_MS_MAX, pauseMs * 2);
    }
  }
}
