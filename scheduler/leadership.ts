import { setTimeout as delay } from 'node:timers/promises';
import { HearthError } from '../lib/errors.ts';
import { newId } from '../lib/ids.ts';
import { LIMITS } from '../lib/limits.ts';
import type { Store } from '../lib/store/store.ts';
import type { Log } from '../lib/telemetry/log.ts';
import { decideLease, type LeaseView, leaseEndMs } from './lease.ts';

export interface LeadershipOptions {
  store: Pick<Store, 'get' | 'put' | 'remove'>;
  log: Log;
  /** Called in order, each after the one before has resolved. */
  onGained(): Promise<void>;
  onLost(): Promise<void>;
}

const ID = 'leader';

/**
 * One of several schedulers leads: it alone starts and stops instances, as only it knows which
 * starts are under way. A leader that stood still finds its lease ended before it acts again.
 */
export class Leadership {
  readonly #options: LeadershipOptions;
  readonly #me = newId('s');
  #seen: LeaseView['seen'];
  #endMs = 0;
  #isTold = false;

  constructor(options: LeadershipOptions) {
    this.#options = options;
  }

  /** Whether this scheduler may act at this very moment. */
  get isLeader(): boolean {
    return performance.now() < this.#endMs;
  }

  /** Tries to lead until `signal` aborts, then gives the lease back. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#renew();
      await this.#tell();
      await delay(LIMITS.leaseRenewMs, undefined, { signal, ref: false }).catch(() => undefined);
    }
    await this.#giveBack();
    await this.#tell();
  }

  async #renew(): Promise<void> {
    const { store, log } = this.#options;
    try {
      const stored = await store.get('scheduler', ID);
      const nowMs = performance.now();
      const step = decideLease({ me: this.#me, stored, seen: this.#seen }, nowMs);
      if (step.kind === 'wait') {
        const version = stored?.version ?? 0;
        if (this.#seen?.version !== version) this.#seen = { version, sinceMs: nowMs };
        this.#endMs = 0;
        return;
      }
      const { expectVersion } = step;
      await store.put('scheduler', ID, { leader: this.#me }, { expectVersion });
      this.#endMs = leaseEndMs(nowMs);
    } catch (error) {
      // Another was faster, or the store is away: an unexpired lease is still mine in the latter.
      if (error instanceof HearthError && error.code === 'Conflict') this.#endMs = 0;
      else log.warn({ err: error }, 'lease not renewed');
    }
  }

  async #tell(): Promise<void> {
    const { log, onGained, onLost } = this.#options;
    if (this.isLeader === this.#isTold) return;
    this.#isTold = this.isLeader;
    log.info({ leads: this.#isTold }, 'leadership changed');
    await (this.#isTold ? onGained() : onLost());
  }

  async #giveBack(): Promise<void> {
    const isMine = this.isLeader;
    this.#endMs = 0;
    if (!isMine) return;
    const { store, log } = this.#options;
    try {
      const stored = await store.get('scheduler', ID);
      if (stored?.record.leader !== this.#me) return;
      await store.remove('scheduler', ID, { expectVersion: stored.version });
    } catch (error) {
      log.warn({ err: error }, 'lease not given back');
    }
  }
}
