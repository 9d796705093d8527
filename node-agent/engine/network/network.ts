import { networkInterfaces } from 'node:os';
import { HearthError } from '../../../lib/errors.ts';
import { LIMITS } from '../../../lib/limits.ts';
import type { Log } from '../../../lib/telemetry/log.ts';
import type { ContainerSpec } from '../container-spec.ts';
import type { ContainerState } from '../container-state.ts';
import { failpoint } from '../failpoints.ts';
import { Firewall } from './firewall.ts';
import { makeBridge, removeLink, writeSetting } from './links.ts';
import { NamedNetworks } from './named-networks.ts';
import { egressFault, isNamedNetwork } from './network-check.ts';
import {
  bridgeCommands,
  type NetworkNames,
  type NetworkSlot,
  networkNames,
  splitSubnet,
} from './network-plan.ts';
import type { Networks } from './network-types.ts';
import { hostNameservers, ownAddresses } from './resolvers.ts';
import { SlotAttachments } from './slot-attachments.ts';
import { SlotPool } from './slot-pool.ts';
import { parseSubnet, type Subnet } from './subnet.ts';

export { netnsPath } from './links.ts';

export interface NetworkOptions {
  engine: string;
  /** Where named networks are written down. */
  stateDir: string;
  subnet: string;
  /** Slots kept ready. */
  ready: number;
  /** Private networks that containers may reach: CIDR. */
  allowed: readonly string[];
  /** Users of this host that may connect to containers beside root; absent: all. */
  reachableByUids: readonly number[] | undefined;
  /** Containers of an earlier process, which may live: the firewall has their rules from the start. */
  known: readonly ContainerState[];
  log: Log;
  /** Writes the settings inside a namespace: the launcher's work, as the engine never enters one. */
  configure: (netns: string) => Promise<void>;
}

/** The engine's networks: bridges, firewall, slots, and what containers asked for beside their slot. */
export class EngineNetwork {
  readonly #options: NetworkOptions;
  readonly #names: NetworkNames;
  readonly #subnet: Subnet;
  readonly #firewall: Firewall;
  readonly #pool: SlotPool;
  readonly #named: NamedNetworks;
  readonly #attachments: SlotAttachments;
  readonly #releasing = new Set<Promise<void>>();
  #opened: Promise<void> | undefined;

  constructor(options: NetworkOptions) {
    const { log } = options;
    this.#options = options;
    this.#names = networkNames(options.engine);
    this.#subnet = parseSubnet(options.subnet);
    const parts = splitSubnet(this.#subnet);
    this.#firewall = new Firewall(this.#names, log);
    this.#pool = new SlotPool({
      names: this.#names,
      slots: parts.slots,
      bridge: this.#subnet,
      ready: options.ready,
      firewall: this.#firewall,
      configure: options.configure,
      log,
    });
    this.#named = new NamedNetworks({
      names: this.#names,
      stateDir: options.stateDir,
      subnet: this.#subnet,
      pool: parts.named,
      firewall: this.#firewall,
      opened: () => this.open(),
      log,
    });
    this.#attachments = new SlotAttachments({
      names: this.#names,
      slots: parts.slots,
      firewall: this.#firewall,
      named: this.#named,
      log,
    });
    for (const state of options.known) {
      if (state.networkSlot === undefined) continue;
      this.#attachments.claim(this.#pool.claim(state.networkSlot), state);
    }
  }

  get networks(): Networks {
    return this.#named;
  }

  /** Loads the firewall, then makes the bridges, then begins to fill the pool. */
  open(): Promise<void> {
    this.#opened ??= this.#open();
    return this.#opened;
  }

  /** A slot of its own for one container, with all that its spec asks of networks in force. */
  async acquire(spec: ContainerSpec): Promise<NetworkSlot | undefined> {
    const { network, egress = [], ports = [] } = spec;
    if (network === 'none') return undefined;
    await this.open();
    if (network === 'bridge' && egress.length === 0 && ports.length === 0) {
      return this.#pool.acquire();
    }
    this.#check(spec);
    const slot = await this.#pool.acquire();
    try {
      return await this.#attachments.attach(slot, spec);
    } catch (error) {
      void this.release(slot);
      throw error;
    }
  }

  /** Makes slots ready in place of those taken. Call it when nobody waits for a start. */
  fill(): void {
    void this.#opened?.then(
      () => this.#pool.fill(),
      () => {},
    );
  }

  /** The slot of a container that an earlier process began and that lives. */
  adopt(state: ContainerState): NetworkSlot | undefined {
    return this.#attachments.adopt(state);
  }

  /** Resolves when nothing leads to the container any more; the rest is removed later. */
  async release(slot: NetworkSlot): Promise<void> {
    const detached = this.#attachments.detach(slot).then(
      () => true,
      (error: unknown) => {
        const { address } = slot;
        this.#options.log.error({ address, error: String(error) }, 'address stays out of use');
        return false;
      },
    );
    const removed = detached.then((isFree) => (isFree ? this.#pool.release(slot) : undefined));
    this.#releasing.add(removed);
    void removed.finally(() => this.#releasing.delete(removed));
    await detached;
  }

  /** Removes all of an earlier process but what was adopted. */
  async sweep(): Promise<void> {
    await this.open().catch(() => {});
    await this.#attachments.resumed();
    await Promise.all(this.#attachments.unadopted().map((slot) => this.release(slot)));
    await Promise.all(this.#releasing);
    await this.#pool.sweep();
  }

  /** Ends the pool; with `keep` the bridges and firewall stay for the containers that live on. */
  async close(options: { keep: boolean }): Promise<void> {
    await this.#opened?.catch(() => {});
    await this.#pool.close();
    await Promise.all(this.#releasing);
    await this.#attachments.close();
    if (this.#opened === undefined) return;
    await this.#named.close(options);
    if (options.keep) return;
    await this.#quietly('remove bridge', () => removeLink(this.#names.bridge));
    await this.#quietly('remove firewall', () => this.#firewall.unload());
  }

  /** @throws HearthError NotFound, StartFailed */
  #check(spec: ContainerSpec): void {
    const { network, egress = [], ports = [] } = spec;
    const isNamed = isNamedNetwork(network);
    const isInternal = isNamed && this.#named.named(network).state.internal;
    const asked = egress.length > 0 ? 'egress' : ports.length > 0 ? 'ports' : undefined;
    const subnets = [this.#subnet, ...this.#named.plans.map(({ subnet }) => subnet)];
    const fault =
      isInternal && asked !== undefined
        ? `${asked} need a way out, and network "${network}" is internal`
        : egressFault(egress, { subnets, addresses: hostAddresses(egress.length > 0) });
    if (fault === undefined) return;
    throw new HearthError('StartFailed', `cannot start container "${spec.id}": ${fault}`);
  }

  async #open(): Promise<void> {
    const { bridge } = this.#names;
    try {
      await this.#loadFirewall();
      failpoint('network.after-firewall');
      await makeBridge(bridge, bridgeCommands(bridge, this.#subnet));
      failpoint('network.after-bridge');
      await this.#named.open();
      writeSetting('/proc/sys/net/ipv4/ip_forward', '1');
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      const hint = 'install iproute2 and nftables; `hearth doctor` checks both';
      throw new HearthError('KernelUnsupported', `cannot set up the network: ${reason}`, {
        hint,
        cause,
      });
    }
    this.#pool.fill();
  }

  async #loadFirewall(): Promise<void> {
    const nameservers = hostNameservers();
    const own = ownAddresses(nameservers);
    const { allowed, reachableByUids } = this.#options;
    await this.#firewall.load({
      subnet: this.#subnet,
      bridges: [{ bridge: this.#names.bridge, subnet: this.#subnet }, ...this.#named.plans],
      resolvers: nameservers.filter((address) => !own.has(address)),
      hostResolvers: [...own],
      allowed,
      ...(reachableByUids === undefined ? {} : { reachableByUids }),
      elements: this.#attachments.elements(),
      rates: {
        connectionsMax: LIMITS.containerConnectionsMax,
        dnsPerSecond: LIMITS.containerDnsPerSecond,
      },
    });
  }

  async #quietly(what: string, act: () => Promise<unknown>): Promise<void> {
    try {
      await act();
    } catch (error) {
      this.#options.log.warn({ what, error: String(error) }, 'network clean-up failed');
    }
  }
}

function hostAddresses(wanted: boolean): string[] {
  if (!wanted) return [];
  return Object.values(networkInterfaces()).flatMap((list) =>
    (list ?? []).map(({ address }) => address),
  );
}
