import type { Syscalls } from '../kernel/syscall-types.ts';
import { makeNetwork, settleLoopback } from './network-namespace.ts';

/** A descriptor, and its path on the host. */
export interface LoopbackNetwork {
  fd: number;
  path: string;
}

/**
 * Network namespaces with a loopback only, made ahead: a new one costs 0.5 ms, and as much again
 * until it is set up. One that is taken lives as long as the container that entered it.
 */
export class LoopbackNetworks {
  readonly #sys: Syscalls;
  readonly #ready: LoopbackNetwork[] = [];

  constructor(sys: Syscalls) {
    this.#sys = sys;
  }

  /** Makes one more if fewer than `wanted` wait. Call it when no start does. */
  prepare(wanted: number): void {
    if (this.#ready.length >= wanted) return;
    const fd = makeNetwork(this.#sys, () => settleLoopback(this.#sys));
    this.#ready.push({ fd, path: `/proc/${this.#sys.getpid()}/fd/${fd}` });
  }

  /** One for the caller to close when it has been entered, or to put back. */
  take(): LoopbackNetwork | undefined {
    return this.#ready.shift();
  }

  /** Takes one back that nobody has entered. */
  putBack(network: LoopbackNetwork): void {
    this.#ready.push(network);
  }
}
