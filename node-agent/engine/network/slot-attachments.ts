import type { Log } from '../../../lib/telemetry/log.ts';
import type { ContainerSpec, PublishedPort } from '../container-spec.ts';
import type { ContainerState } from '../container-state.ts';
import { failpoint } from '../failpoints.ts';
import type { Firewall } from './firewall.ts';
import { type Element, egressElements, portElements, sourceElement } from './firewall-elements.ts';
import { ipBatch } from './links.ts';
import type { NamedNetworks } from './named-networks.ts';
import { isNamedNetwork } from './network-check.ts';
import {
  macOf,
  moveCommands,
  type NetworkNames,
  type NetworkSlot,
  networkSlot,
  readdressCommands,
} from './network-plan.ts';
import { PublishedPorts } from './ports/published-ports.ts';
import type { Subnet } from './subnet.ts';

export interface SlotAttachmentsOptions {
  names: NetworkNames;
  slots: Subnet;
  firewall: Firewall;
  named: NamedNetworks;
  log: Log;
}

/** What was made for one container. */
interface Attachment {
  slot: NetworkSlot;
  elements: readonly Element[];
}

/** Slots with more than their place on the engine's own network: other networks, rules, open ports. */
export class SlotAttachments {
  readonly #options: SlotAttachmentsOptions;
  readonly #ports: PublishedPorts;
  readonly #attached = new Map<number, Attachment>();
  /** Of an earlier process, and not adopted yet. */
  readonly #claimed = new Map<number, NetworkSlot>();
  readonly #resuming: Promise<void>[] = [];

  constructor(options: SlotAttachmentsOptions) {
    this.#options = options;
    this.#ports = new PublishedPorts(options.log);
  }

  /** Resolves when all is in force: before the container's program is there. */
  async attach(plain: NetworkSlot, spec: ContainerSpec): Promise<NetworkSlot> {
    let slot = this.#place(plain, spec);
    this.#attached.set(slot.number, { slot, elements: [] });
    const { ports = [] } = spec;
    if (ports.length > 0) {
      slot = { ...slot, ports: await this.#ports.open(slot.address, ports) };
    }
    failpoint('attach.after-ports');
    this.#attached.set(slot.number, { slot, elements: [] });
    const elements = elementsOf(slot, spec);
    const replaced = slot.network === undefined ? [] : [sourceElement(plain)];
    await this.#options.firewall.replace(replaced, elements);
    this.#attached.set(slot.number, { slot, elements });
    failpoint('attach.after-rules');
    if (slot.network !== undefined) await this.#move(slot, slot.network);
    failpoint('attach.after-move');
    return slot;
  }

  /**
   * Takes away what `attach` made, or what it had made when it failed. @throws Error when rules stay;
   * nobody may have the address then
   */
  async detach(slot: NetworkSlot): Promise<void> {
    const attachment = this.#attached.get(slot.number);
    if (attachment === undefined) return;
    failpoint('detach.before');
    this.#attached.delete(slot.number);
    const { elements, slot: attached } = attachment;
    const { names, slots, firewall, named } = this.#options;
    const plain = networkSlot(names, slots, slot.number);
    // Its own source again, which goes with the slot
    const restored = attached.network === undefined || elements.length === 0 ? [] : [plain];
    await firewall.replace(elements, restored.map(sourceElement));
    failpoint('detach.after-rules');
    await this.#ports.close(attached.address);
    failpoint('detach.after-ports');
    if (attached.network !== undefined) named.leave(attached.network, attached.address);
  }

  /** Remembers the slot of a container that may live, so that its rules hold until that is known. */
  claim(plain: NetworkSlot, state: ContainerState): void {
    const slot = { ...plain, ...placeOf(state) };
    try {
      if (slot.network !== undefined) this.#join(slot.network, state.spec, slot.address);
      this.#attached.set(slot.number, { slot, elements: elementsOf(slot, state.spec) });
      this.#claimed.set(slot.number, slot);
    } catch (error) {
      const { network } = slot;
      this.#options.log.error({ network, error: String(error) }, 'network of a container is gone');
      this.#claimed.set(slot.number, plain);
    }
  }

  /** Elements of all that are claimed: what a firewall begins with. */
  elements(): Element[] {
    const plain = [...this.#claimed.values()].filter(({ network }) => network === undefined);
    return [
      ...plain.map(sourceElement),
      ...[...this.#attached.values()].flatMap(({ elements }) => elements),
    ];
  }

  adopt(state: ContainerState): NetworkSlot | undefined {
    const slot = this.#claimed.get(state.networkSlot ?? -1);
    if (slot === undefined) return undefined;
    this.#claimed.delete(slot.number);
    const { ports = [], address } = slot;
    if (ports.length > 0) this.#resuming.push(this.#ports.resume(address, ports));
    return slot;
  }

  /** Resolves when adopted containers have their ports again. */
  async resumed(): Promise<void> {
    await Promise.all(this.#resuming.splice(0));
  }

  /** Claimed, and not adopted. They are no longer claimed afterwards. */
  unadopted(): NetworkSlot[] {
    const slots = [...this.#claimed.values()];
    this.#claimed.clear();
    return slots;
  }

  close(): Promise<void> {
    return this.#ports.closeAll();
  }

  #place(plain: NetworkSlot, spec: ContainerSpec): NetworkSlot {
    if (!isNamedNetwork(spec.network)) return plain;
    const address = this.#join(spec.network, spec);
    const { gateway } = this.#options.named.named(spec.network);
    return { ...plain, address, mac: macOf(address), network: spec.network, gateway };
  }

  #join(network: string, spec: ContainerSpec, address?: string): string {
    const { id, hostname, aliases = [] } = spec;
    const member = { id, hostname, aliases, ...(address === undefined ? {} : { address }) };
    return this.#options.named.named(network).join(member);
  }

  async #move(slot: NetworkSlot, name: string): Promise<void> {
    const { bridge, subnet, state } = this.#options.named.named(name);
    // Its old address must not be seen on the new network
    await ipBatch(readdressCommands(slot, { subnet, internal: state.internal }), slot.netns);
    await ipBatch(moveCommands(bridge, slot));
  }
}

function elementsOf(slot: NetworkSlot, spec: ContainerSpec): Element[] {
  return [
    // A plain slot has its own already
    ...(slot.network === undefined ? [] : [sourceElement(slot)]),
    ...egressElements(slot.address, spec.egress ?? []),
    ...portElements(slot.address, slot.ports ?? []),
  ];
}

function placeOf(state: ContainerState): {
  network?: string;
  address?: string;
  mac?: string;
  ports?: readonly PublishedPort[];
} {
  const { networkAddress, ports, spec } = state;
  return {
    ...(networkAddress === undefined
      ? {}
      : { network: spec.network, address: networkAddress, mac: macOf(networkAddress) }),
    ...(ports === undefined ? {} : { ports }),
  };
}
