import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../../../lib/telemetry/log.ts';
import { forgetConnections } from './conntrack.ts';
import { ipBatch, linkExists, netnsPath, removeLink } from './links.ts';
import type { NetworkSlot } from './network-plan.ts';

const AT_ONCE_MAX = 32;
const GONE_POLL_MS = 20;
/** Whoever was given a socket of a container keeps its network, and all behind it in the queue wait. */
const GONE_MS = 2_000;

/**
 * Removes slots in batches. To delete a link takes the kernel 20 ms, in which no other link of the
 * machine can be made or changed. Namespaces that go together take their links along, all in the
 * time of one, and in a thread of the kernel's.
 */
export class SlotRemoval {
  readonly #log: Log;
  readonly #waiting: { slot: NetworkSlot; resolve: () => void }[] = [];
  #running: Promise<void> | undefined;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Resolves when nothing of it is left; failures are logged. */
  remove(slot: NetworkSlot): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ slot, resolve });
      this.#running ??= this.#run().finally(() => {
        this.#running = undefined;
      });
    });
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, AT_ONCE_MAX);
      await this.#removeAll(batch.map(({ slot }) => slot));
      for (const { resolve } of batch) resolve();
    }
  }

  async #removeAll(slots: readonly NetworkSlot[]): Promise<void> {
    const there = slots.filter((slot) => existsSync(netnsPath(slot)));
    await this.#quietly('remove network namespaces', () => deleteNamespaces(there));
    const deadlineMs = performance.now() + (there.length > 0 ? GONE_MS : 0);
    while (slots.some(({ veth }) => linkExists(veth)) && performance.now() < deadlineMs) {
      await sleep(GONE_POLL_MS);
    }
    // One that outlives its namespace is held by somebody who looks into it
    for (const { veth } of slots) await this.#quietly('remove link', () => removeLink(veth));
    const addresses = slots.map(({ address }) => address);
    await this.#quietly('forget connections', () => forgetConnections(addresses));
  }

  async #quietly(what: string, act: () => Promise<unknown>): Promise<void> {
    try {
      await act();
    } catch (error) {
      this.#log.warn({ what, error: String(error) }, 'network clean-up failed');
    }
  }
}

async function deleteNamespaces(slots: readonly NetworkSlot[]): Promise<void> {
  if (slots.length > 0) await ipBatch(slots.map(({ netns }) => `netns delete ${netns}`));
}
