import { existsSync } from 'node:fs';
import { HearthError } from '../../../lib/errors.ts';
import type { Log } from '../../../lib/telemetry/log.ts';
import { failpoint } from '../failpoints.ts';
import type { Firewall } from './firewall.ts';
import { sourceElement } from './firewall-elements.ts';
import { ipBatch, linkExists, listNetns, netnsPath } from './links.ts';
import {
  hostLinkCommands,
  insideCommands,
  type NetworkNames,
  type NetworkSlot,
  networkSlot,
} from './network-plan.ts';
import { SlotRemoval } from './slot-removal.ts';
import { type Subnet, slotCount } from './subnet.ts';

export interface SlotPoolOptions {
  names: NetworkNames;
  /** Where slots take their addresses from, and the bridge's network, which holds it. */
  slots: Subnet;
  bridge: Subnet;
  /** Slots kept ready. */
  ready: number;
  firewall: Firewall;
  /** Writes the settings inside a namespace: the launcher's work, as the engine never enters one. */
  configure: (netns: string) => Promise<void>;
  log: Log;
}

/**
 * Network namespaces with a link to the engine's bridge. They cost tens of milliseconds to make and
 * to remove, so they are made ahead, used once, and removed behind the caller's back.
 */
export class SlotPool {
  readonly #options: SlotPoolOptions;
  readonly #removal: SlotRemoval;
  readonly #ready: NetworkSlot[] = [];
  readonly #waiting: { resolve: (slot: NetworkSlot) => void; reject: (error: unknown) => void }[] =
    [];
  readonly #used = new Set<number>();
  /** Those whose source the firewall knows. */
  readonly #sourced = new Set<number>();
  readonly #releasing = new Set<Promise<void>>();
  #next = 0;
  #filling: Promise<void> | undefined;
  #closed = false;

  constructor(options: SlotPoolOptions) {
    this.#options = options;
    this.#removal = new SlotRemoval(options.log);
  }

  /**
   * A slot of its own for one container. Whoever took one that was ready calls `fill` when nobody waits
   * for the container any more: to begin a program takes this process milliseconds.
   */
  acquire(): Promise<NetworkSlot> {
    if (this.#closed) return Promise.reject(closing());
    const slot = this.#ready.shift();
    if (slot !== undefined) return Promise.resolve(slot);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.fill();
    });
  }

  /**
   * The slot of this number, which an earlier process made, and whose source the firewall begins
   * with. Nobody else gets it until `release`.
   */
  claim(number: number): NetworkSlot {
    this.#used.add(number);
    this.#sourced.add(number);
    return this.#slot(number);
  }

  /** Removes a used slot; then its number is free. */
  release(slot: NetworkSlot): Promise<void> {
    const released = this.#release(slot);
    this.#releasing.add(released);
    void released.finally(() => this.#releasing.delete(released));
    return released;
  }

  /** Removes all slots of an earlier process but the claimed ones. */
  async sweep(): Promise<void> {
    const { netnsPrefix } = this.#options.names;
    const leftovers: Promise<void>[] = [];
    for (const name of listNetns(netnsPrefix)) {
      const text = name.slice(netnsPrefix.length);
      const number = Number(text);
      if (!/^\d+$/.test(text) || this.#used.has(number)) continue;
      this.#used.add(number);
      leftovers.push(this.release(this.#slot(number)));
    }
    await Promise.all(leftovers);
  }

  /** One filling at a time; it goes on until nobody waits and enough are ready. */
  fill(): void {
    this.#filling ??= this.#fillUntilReady().finally(() => {
      this.#filling = undefined;
    });
  }

  /** Removes what nobody uses. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#filling;
    for (const waiter of this.#waiting.splice(0)) waiter.reject(closing());
    for (const slot of this.#ready.splice(0)) void this.release(slot);
    await Promise.all(this.#releasing);
  }

  async #release(slot: NetworkSlot): Promise<void> {
    const { number } = slot;
    await this.#removal.remove(slot);
    failpoint('network.destroy.after-netns');
    if (this.#sourced.delete(number)) await this.#removeSource(number);
    failpoint('network.destroy.after-source');
    this.#used.delete(number);
  }

  async #fillUntilReady(): Promise<void> {
    while (!this.#closed && this.#ready.length - this.#waiting.length < this.#options.ready) {
      try {
        this.#hand(await this.#create());
      } catch (error) {
        this.#options.log.error({ error: String(error) }, 'network slot failed');
        for (const waiter of this.#waiting.splice(0)) waiter.reject(error);
        return;
      }
    }
  }

  #hand(slot: NetworkSlot): void {
    const waiter = this.#waiting.shift();
    if (waiter === undefined) this.#ready.push(slot);
    else waiter.resolve(slot);
  }

  async #create(): Promise<NetworkSlot> {
    const { names, bridge, configure } = this.#options;
    const slot = this.#slot(await this.#takeNumber());
    try {
      const made = await Promise.allSettled([
        this.#addSource(slot),
        ipBatch([`netns add ${slot.netns}`, ...hostLinkCommands(names, slot)]),
      ]);
      for (const part of made) if (part.status === 'rejected') throw part.reason;
      failpoint('network.after-host-link');
      // Before the link inside is up, so that it never gets an IPv6 address
      await configure(netnsPath(slot));
      failpoint('network.after-settings');
      await ipBatch(insideCommands(bridge, slot), slot.netns);
      failpoint('network.after-inside-link');
      return slot;
    } catch (error) {
      await this.release(slot);
      throw error;
    }
  }

  /** @throws HearthError NodeFull when all are in use, and none is about to be free */
  async #takeNumber(): Promise<number> {
    const number = this.#freeNumber();
    if (number !== undefined) return number;
    await Promise.all(this.#releasing);
    const later = this.#freeNumber();
    if (later !== undefined) return later;
    const { slots } = this.#options;
    const message = `all ${slotCount(slots)} addresses of ${slots.text} are in use`;
    throw new HearthError('NodeFull', message);
  }

  /** Numbers go round, so that an address rests as long as possible before it is used again. */
  #freeNumber(): number | undefined {
    const count = slotCount(this.#options.slots);
    for (let tries = 0; tries < count; tries++) {
      const number = this.#next;
      this.#next = (this.#next + 1) % count;
      const slot = this.#slot(number);
      const isTaken = existsSync(netnsPath(slot)) || linkExists(slot.veth);
      if (this.#used.has(number) || isTaken) continue;
      this.#used.add(number);
      return number;
    }
    return undefined;
  }

  async #addSource(slot: NetworkSlot): Promise<void> {
    await this.#options.firewall.add([sourceElement(slot)]);
    this.#sourced.add(slot.number);
  }

  async #removeSource(number: number): Promise<void> {
    const { firewall, log } = this.#options;
    try {
      await firewall.remove([sourceElement(this.#slot(number))]);
    } catch (error) {
      log.warn({ number, error: String(error) }, 'source of a slot stays');
    }
  }

  #slot(number: number): NetworkSlot {
    return networkSlot(this.#options.names, this.#options.slots, number);
  }
}

function closing(): HearthError {
  return new HearthError('ShuttingDown', 'the container engine is closing');
}
