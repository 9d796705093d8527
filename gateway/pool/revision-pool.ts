import { HearthError, toHearthError } from '../../lib/errors.ts';
import { LIMITS } from '../../lib/limits.ts';
import type { InstanceRecord, RevisionRecord } from '../../lib/records.ts';
import { type Grant, type Lease, Pool } from './pool.ts';
import { startBackoffMs, startsWanted } from './starts.ts';

/** Why a waiter was sent away without an error: its revision has lost the traffic. */
export const REROUTE: unique symbol = Symbol('reroute');

export interface RevisionPoolOptions {
  revision: RevisionRecord;
  /** Starts one instance somewhere; resolves when it is ready. */
  start(revision: RevisionRecord): Promise<InstanceRecord>;
  /** An instance came ready as the answer of `start`, perhaps before the store told of it. */
  onStarted(record: InstanceRecord): void;
  /** The last lease of a draining instance was given back. */
  onDrained(instanceId: string): void;
  /** Monotonic clock. */
  now(): number;
}

interface Waiter {
  resolve(lease: Lease): void;
  reject(reason: HearthError | typeof REROUTE): void;
}

/** A request's place in the waiting room. */
export interface Waiting {
  lease: Promise<Lease>;
  /** Leaves the room: `lease` rejects with `reason`. */
  cancel(reason: HearthError): void;
}

/** A connection that failed keeps the instance out of choice so long. */
const SHUN_MS = 1_000;
/** How often deadlines, shunned instances and missing starts are looked at while somebody waits. */
const SWEEP_MS = 50;

/** The pool of one revision with its timers, its waiters' promises and its starts. */
export class RevisionPool {
  readonly pool = new Pool();
  readonly revision: RevisionRecord;
  /** Starts by others that the store tells of. */
  readonly startingElsewhere = new Set<string>();
  /** Monotonic time of the newest request; 0: never. */
  lastRequestMs = 0;
  readonly #options: RevisionPoolOptions;
  readonly #waiters = new Map<number, Waiter>();
  #starting = 0;
  #failures = 0;
  #retryAtMs = 0;
  #lastError: HearthError | undefined;
  #sweeper: NodeJS.Timeout | undefined;

  constructor(options: RevisionPoolOptions) {
    this.#options = options;
    this.revision = options.revision;
  }

  get starting(): number {
    return Math.max(this.#starting, this.startingElsewhere.size);
  }

  get isIdle(): boolean {
    return this.pool.running === 0 && this.pool.waiting === 0 && this.#starting === 0;
  }

  /**
   * A lease at once, or a place in the waiting room.
   * @throws HearthError QueueFull; FunctionUnhealthy while starts fail and none is tried
   */
  acquire(deadlineMs: number): Lease | Waiting {
    const nowMs = this.#options.now();
    this.lastRequestMs = nowMs;
    const got = this.pool.acquire({
      nowMs,
      deadlineMs: Math.min(deadlineMs, nowMs + LIMITS.queueTimeoutMs),
    });
    if (got.kind === 'lease') return got.lease;
    if (got.kind === 'full') throw this.#queueFull();
    if (this.#isBackingOff(nowMs)) {
      this.pool.cancel(got.ticket);
      throw this.#unhealthy(nowMs);
    }
    const { promise, resolve, reject } = Promise.withResolvers<Lease>();
    this.#waiters.set(got.ticket, { resolve, reject });
    this.#startMissing();
    this.#sweeper ??= setInterval(() => this.#sweep(), SWEEP_MS);
    return {
      lease: promise,
      cancel: (reason) => {
        if (this.pool.cancel(got.ticket)) this.#rejectAll([got.ticket], reason);
      },
    };
  }

  release(lease: Lease): void {
    this.#grant(this.pool.release(lease, this.#options.now()));
    const { id, state, leases } = lease.instance;
    if (state === 'draining' && leases === 0) this.#options.onDrained(id);
  }

  put(instance: { id: string; concurrency: number }): void {
    this.startingElsewhere.delete(instance.id);
    this.#failures = 0;
    this.#grant(this.pool.put(instance, this.#options.now()));
  }

  /** The instance refused a connection. */
  shun(id: string): void {
    this.pool.shun(id, this.#options.now() + SHUN_MS);
  }

  /** An instance left: waiters may need another start. */
  remove(id: string): void {
    this.startingElsewhere.delete(id);
    this.pool.remove(id);
    this.#startMissing();
  }

  /** Sends all waiters away: `reason` for each. */
  dismiss(reason: HearthError | typeof REROUTE): void {
    this.#rejectAll(this.pool.dismiss(), reason);
  }

  close(): void {
    clearInterval(this.#sweeper);
    this.#sweeper = undefined;
  }

  #startMissing(): void {
    const { concurrency, scale } = this.revision.spec;
    if (this.#options.now() < this.#retryAtMs) return;
    const wanted = startsWanted({
      waiting: this.pool.waiting,
      concurrency,
      starting: this.starting,
      live: this.pool.live,
      scaleMax: scale.max,
    });
    for (let i = 0; i < wanted; i++) void this.#startOne();
  }

  async #startOne(): Promise<void> {
    this.#starting++;
    try {
      const record = await this.#options.start(this.revision);
      this.#starting--;
      this.#options.onStarted(record);
    } catch (error) {
      this.#starting--;
      this.#startFailed(toHearthError(error));
    }
  }

  #startFailed(error: HearthError): void {
    this.#lastError = error;
    this.#retryAtMs = this.#options.now() + startBackoffMs(++this.#failures);
    // Others may still serve those who wait; with none left, the reason is the answer.
    if (this.pool.live === 0 && this.starting === 0) this.dismiss(error);
  }

  #sweep(): void {
    const nowMs = this.#options.now();
    this.#rejectAll(this.pool.expire(nowMs), this.#queueTimeout());
    this.#grant(this.pool.pump(nowMs));
    this.#startMissing();
    if (this.pool.waiting === 0) this.close();
  }

  #grant(grants: Grant[]): void {
    for (const { ticket, lease } of grants) {
      this.#waiters.get(ticket)?.resolve(lease);
      this.#waiters.delete(ticket);
    }
  }

  #rejectAll(tickets: number[], reason: HearthError | typeof REROUTE): void {
    for (const ticket of tickets) {
      this.#waiters.get(ticket)?.reject(reason);
      this.#waiters.delete(ticket);
    }
  }

  #isBackingOff(nowMs: number): boolean {
    return nowMs < this.#retryAtMs && this.pool.live === 0 && this.starting === 0;
  }

  #queueFull(): HearthError {
    const { functionName } = this.revision;
    return new HearthError(
      'QueueFull',
      `function "${functionName}" has ${LIMITS.waitingPerRevisionMax} requests waiting, which is the limit`,
      { hint: 'try again after Retry-After, or raise scale.max', details: { retryAfterMs: 1000 } },
    );
  }

  #queueTimeout(): HearthError {
    const { functionName, spec } = this.revision;
    const seconds = Math.min(spec.timeoutMs, LIMITS.queueTimeoutMs) / 1000;
    return new HearthError(
      'QueueTimeout',
      `no instance of "${functionName}" was free within ${seconds} s`,
      { hint: 'raise concurrency or scale.max', details: { retryAfterMs: 1000 } },
    );
  }

  #unhealthy(nowMs: number): HearthError {
    const last = this.#lastError;
    return new HearthError(
      'FunctionUnhealthy',
      `function "${this.revision.functionName}" cannot start: ${last?.code}: ${last?.message}`,
      {
        hint: last?.hint ?? 'see the logs of the function',
        details: { ...last?.details, retryAfterMs: Math.ceil(this.#retryAtMs - nowMs) },
      },
    );
  }
}
