import { LIMITS } from '../../lib/limits.ts';

/** One instance as the pool sees it. */
export interface PoolInstance {
  readonly id: string;
  concurrency: number;
  leases: number;
  /** `draining`: takes no new lease. */
  state: 'ready' | 'draining';
  /** A connection to it failed: no lease before this time, unless its record changes. */
  shunnedUntilMs: number;
  /** When its last lease was released, or when it came. */
  idleSinceMs: number;
  readonly addedAtMs: number;
}

/** The right to one slot of one instance for one request. Given back once, with `release`. */
export interface Lease {
  readonly instance: PoolInstance;
  released: boolean;
}

export type Acquired =
  | { kind: 'lease'; lease: Lease }
  | { kind: 'wait'; ticket: number }
  | { kind: 'full' };

/** A waiter's turn. */
export interface Grant {
  ticket: number;
  lease: Lease;
}

export interface PoolOptions {
  waitingMax?: number;
}

/**
 * The instances of one revision and the requests that wait for them: a state machine without IO
 * and without a clock. A waiter exists only while no instance has a free slot; whatever frees one
 * (`release`, `put`, `pump`) returns the grants, oldest waiter first.
 */
export class Pool {
  readonly #instances = new Map<string, PoolInstance>();
  /** Ticket → deadline, in order of arrival. */
  readonly #waiters = new Map<number, number>();
  readonly #waitingMax: number;
  #nextTicket = 1;
  #running = 0;

  constructor(options: PoolOptions = {}) {
    this.#waitingMax = options.waitingMax ?? LIMITS.waitingPerRevisionMax;
  }

  /** Leases that are held, on instances that have been removed too. */
  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#waiters.size;
  }

  get instances(): IterableIterator<PoolInstance> {
    return this.#instances.values();
  }

  /** Instances that take leases, now or later. */
  get live(): number {
    let live = 0;
    for (const instance of this.#instances.values()) if (instance.state === 'ready') live++;
    return live;
  }

  get size(): number {
    return this.#instances.size;
  }

  instance(id: string): PoolInstance | undefined {
    return this.#instances.get(id);
  }

  acquire(ask: { nowMs: number; deadlineMs: number }): Acquired {
    if (this.#waiters.size === 0) {
      const instance = this.#leastLoaded(ask.nowMs);
      if (instance !== undefined) return { kind: 'lease', lease: this.#lease(instance) };
    }
    if (this.#waiters.size >= this.#waitingMax) return { kind: 'full' };
    const ticket = this.#nextTicket++;
    this.#waiters.set(ticket, ask.deadlineMs);
    return { kind: 'wait', ticket };
  }

  /** Gives a slot back; a second release of the same lease does nothing. */
  release(lease: Lease, nowMs: number): Grant[] {
    if (lease.released) return [];
    lease.released = true;
    lease.instance.leases--;
    lease.instance.idleSinceMs = nowMs;
    this.#running--;
    return this.pump(nowMs);
  }

  /** A ready instance came, or its record changed. One that drains stays so. */
  put(instance: { id: string; concurrency: number }, nowMs: number): Grant[] {
    const known = this.#instances.get(instance.id);
    if (known === undefined) {
      this.#instances.set(instance.id, {
        id: instance.id,
        concurrency: instance.concurrency,
        leases: 0,
        state: 'ready',
        shunnedUntilMs: 0,
        idleSinceMs: nowMs,
        addedAtMs: nowMs,
      });
    } else {
      known.concurrency = instance.concurrency;
      known.shunnedUntilMs = 0;
    }
    return this.pump(nowMs);
  }

  /** No new lease for `id`; its running requests go on. */
  drain(id: string): void {
    const instance = this.#instances.get(id);
    if (instance !== undefined) instance.state = 'draining';
  }

  /** The instance is gone; its leases are still released by their holders. */
  remove(id: string): void {
    this.#instances.delete(id);
  }

  /** The instance could not be reached: others are preferred until `untilMs`. */
  shun(id: string, untilMs: number): void {
    const instance = this.#instances.get(id);
    if (instance !== undefined) instance.shunnedUntilMs = untilMs;
  }

  /** Whether the ticket was still waiting. */
  cancel(ticket: number): boolean {
    return this.#waiters.delete(ticket);
  }

  /** Takes out and returns the waiters whose deadline has passed. */
  expire(nowMs: number): number[] {
    const expired: number[] = [];
    for (const [ticket, deadlineMs] of this.#waiters) {
      if (deadlineMs <= nowMs) expired.push(ticket);
    }
    for (const ticket of expired) this.#waiters.delete(ticket);
    return expired;
  }

  /** Takes out and returns all waiters: nothing will come for them. */
  dismiss(): number[] {
    const tickets = [...this.#waiters.keys()];
    this.#waiters.clear();
    return tickets;
  }

  /** Free slots to the oldest waiters. Needed by itself only when a shunned instance is due. */
  pump(nowMs: number): Grant[] {
    if (this.#waiters.size === 0) return [];
    const grants: Grant[] = [];
    for (const ticket of this.#waiters.keys()) {
      const instance = this.#leastLoaded(nowMs);
      if (instance === undefined) break;
      this.#waiters.delete(ticket);
      grants.push({ ticket, lease: this.#lease(instance) });
    }
    return grants;
  }

  #lease(instance: PoolInstance): Lease {
    instance.leases++;
    this.#running++;
    return { instance, released: false };
  }

  #leastLoaded(nowMs: number): PoolInstance | undefined {
    let best: PoolInstance | undefined;
    for (const instance of this.#instances.values()) {
      if (instance.state !== 'ready' || instance.leases >= instance.concurrency) continue;
      if (instance.shunnedUntilMs > nowMs) continue;
      if (best === undefined || instance.leases < best.leases) best = instance;
      if (best.leases === 0) return best;
    }
    return best;
  }
}
