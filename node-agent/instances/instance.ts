import type { ImageRef, InstanceRecord, InstanceState } from '../../lib/records.ts';
import type { GuestContract } from '../../lib/spec/spec.ts';
import type { Container } from '../engine/engine-types.ts';
import type { ContainerLog } from '../logs/container-log.ts';
import type { Exposure } from './exposure.ts';
import { type InstanceEvent, transition } from './transition.ts';

/** What of its start an agent needs later. */
export interface InstanceLimits {
  /** Absent in the files of earlier versions. */
  image?: ImageRef;
  contract: GuestContract;
  port: number;
  memoryBytes: number;
  /** Between SIGTERM and SIGKILL. */
  graceMs: number;
  /** Of one request: how long gateways may hold leases at least. */
  timeoutMs: number;
}

/** One instance on this node: its record, its container, and who has let go of it. */
export class Instance {
  readonly limits: InstanceLimits;
  readonly container: Container;
  readonly log: ContainerLog;
  readonly exposure: Exposure;
  /** Gateways that said they hold no lease on it. */
  readonly releasedBy = new Set<string>();
  /** Resolves when everything of it is removed. */
  readonly gone: Promise<void>;
  #record: InstanceRecord;
  readonly #resolveGone: () => void;
  readonly #releaseListeners = new Set<() => void>();

  constructor(parts: {
    record: InstanceRecord;
    limits: InstanceLimits;
    container: Container;
    log: ContainerLog;
    exposure: Exposure;
  }) {
    this.#record = parts.record;
    this.limits = parts.limits;
    this.container = parts.container;
    this.log = parts.log;
    this.exposure = parts.exposure;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.gone = promise;
    this.#resolveGone = resolve;
  }

  get id(): string {
    return this.#record.id;
  }

  get record(): InstanceRecord {
    return this.#record;
  }

  get state(): InstanceState {
    return this.#record.state;
  }

  /** Moves on; false when `event` means nothing in its state. */
  apply(event: InstanceEvent): boolean {
    const state = transition(this.state, event);
    if (state === undefined) return false;
    this.#record = { ...this.#record, state };
    return true;
  }

  /** `gateway` holds no lease any more. */
  release(gateway: string): void {
    this.releasedBy.add(gateway);
    for (const listener of this.#releaseListeners) listener();
  }

  /** Calls `listener` at each release; returns how to stop that. */
  onRelease(listener: () => void): () => void {
    this.#releaseListeners.add(listener);
    return () => this.#releaseListeners.delete(listener);
  }

  markGone(): void {
    this.#resolveGone();
  }
}
