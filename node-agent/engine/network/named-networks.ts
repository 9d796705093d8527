import { readFileSync } from 'node:fs';
import { HearthError } from '../../../lib/errors.ts';
import { LIMITS } from '../../../lib/limits.ts';
import type { Log } from '../../../lib/telemetry/log.ts';
import { failpoint } from '../failpoints.ts';
import type { Firewall } from './firewall.ts';
import { type BridgePlan, bridgeElements } from './firewall-rules.ts';
import { freeSubnet, parseRoutes, subnetFault, subnetOwner } from './free-subnet.ts';
import { listLinks, removeLink } from './links.ts';
import { NamedNetwork } from './named-network.ts';
import { networkNameFault } from './network-check.ts';
import type { NetworkNames } from './network-plan.ts';
import { NetworkFolder, type NetworkState } from './network-state.ts';
import type { NetworkInfo, NetworkRequest, Networks } from './network-types.ts';
import { parseSubnet, type Subnet } from './subnet.ts';

export interface NamedNetworksOptions {
  names: NetworkNames;
  stateDir: string;
  /** All addresses of the engine, and the part for named networks if it has one. */
  subnet: Subnet;
  pool: Subnet | undefined;
  firewall: Firewall;
  /** Resolves when the firewall is loaded. */
  opened: () => Promise<void>;
  log: Log;
}

/** The named networks of an engine: their files are the truth, and the kernel follows them. */
export class NamedNetworks implements Networks {
  readonly #options: NamedNetworksOptions;
  readonly #folder: NetworkFolder;
  readonly #networks = new Map<string, NamedNetwork>();
  /** Being made or removed. */
  readonly #busy = new Set<string>();

  constructor(options: NamedNetworksOptions) {
    this.#options = options;
    this.#folder = new NetworkFolder(options.stateDir);
    for (const state of this.#folder.read()) {
      this.#networks.set(state.name, new NamedNetwork(state, options));
    }
  }

  get plans(): BridgePlan[] {
    return [...this.#networks.values()].map(({ plan }) => plan);
  }

  /** Makes what an earlier process wrote down, and removes what nobody did. */
  async open(): Promise<void> {
    const { names, log } = this.#options;
    for (const network of this.#networks.values()) {
      try {
        await network.open();
      } catch (error) {
        log.error(
          { network: network.state.name, error: String(error) },
          'network cannot be opened',
        );
      }
    }
    const known = new Set([...this.#networks.values()].map(({ bridge }) => bridge));
    for (const link of listLinks(names.namedPrefix)) if (!known.has(link)) await removeLink(link);
  }

  /** Ends the name servers; without `keep` the bridges go too, and come again with the next process. */
  async close(options: { keep: boolean }): Promise<void> {
    for (const network of this.#networks.values()) {
      await network.close();
      if (!options.keep) await removeLink(network.bridge);
    }
  }

  /** @throws HearthError NotFound */
  named(name: string): NamedNetwork {
    const network = this.#networks.get(name);
    if (network !== undefined && !this.#busy.has(name)) return network;
    const hint = 'make the network first, or start the container on "bridge" or "none"';
    throw new HearthError('NotFound', `network "${name}" does not exist`, { hint });
  }

  /** A container goes from a network, which may be gone itself. */
  leave(name: string, address: string): void {
    this.#networks.get(name)?.leave(address);
  }

  list(): NetworkInfo[] {
    const ready = [...this.#networks.values()].filter(({ state }) => !this.#busy.has(state.name));
    return ready.map(({ info }) => info).sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  get(name: string): NetworkInfo | undefined {
    return this.#busy.has(name) ? undefined : this.#networks.get(name)?.info;
  }

  async create(request: NetworkRequest): Promise<NetworkInfo> {
    const { firewall, subnet, opened } = this.#options;
    // Opening takes all that are known along
    await opened();
    const network = new NamedNetwork(this.#plan(request), this.#options);
    const { name } = network.state;
    const elements = bridgeElements(network.plan, subnet);
    this.#networks.set(name, network);
    this.#busy.add(name);
    try {
      this.#folder.write(network.state);
      failpoint('networks.create.after-file');
      await firewall.add(elements);
      failpoint('networks.create.after-rules');
      await network.open();
      failpoint('networks.create.after-bridge');
      return network.info;
    } catch (error) {
      await this.#takeAway(network);
      const reason = error instanceof Error ? error.message : String(error);
      throw new HearthError('KernelUnsupported', `cannot make network "${name}": ${reason}`, {
        hint: 'port 53 of its gateway must be free: no name server may listen at every address',
        cause: error,
      });
    } finally {
      this.#busy.delete(name);
    }
  }

  async remove(name: string): Promise<void> {
    const network = this.named(name);
    const { members } = network;
    if (members.length > 0) {
      const first = members.slice(0, 3).map(({ id }) => `"${id}"`);
      const message = `network "${name}" is in use by ${members.length} containers: ${first.join(', ')}`;
      throw new HearthError('Conflict', message, { hint: 'remove the containers on it first' });
    }
    this.#busy.add(name);
    try {
      await this.#takeAway(network);
    } finally {
      this.#busy.delete(name);
    }
  }

  async #takeAway(network: NamedNetwork): Promise<void> {
    const { firewall, subnet, log } = this.#options;
    const steps = [
      () => network.close(),
      () => firewall.remove(bridgeElements(network.plan, subnet)),
      () => removeLink(network.bridge),
    ];
    for (const step of steps) {
      await step().catch((error: unknown) => {
        log.warn({ network: network.state.name, error: String(error) }, 'network clean-up failed');
      });
      failpoint('networks.remove.after-step');
    }
    failpoint('networks.remove.after-bridge');
    // Last: what a crash leaves is found by it
    this.#folder.remove(network.state.name);
    failpoint('networks.remove.after-file');
    this.#networks.delete(network.state.name);
  }

  /** @throws HearthError BadRequest, Conflict, NodeFull */
  #plan(request: NetworkRequest): NetworkState {
    const { name, internal = false, labels = {} } = request;
    const fault =
      networkNameFault(name) ??
      (request.subnet === undefined ? undefined : subnetFault(request.subnet));
    if (fault !== undefined) {
      throw new HearthError('BadRequest', `cannot make network "${name.slice(0, 100)}": ${fault}`);
    }
    if (this.#networks.has(name)) {
      throw new HearthError('Conflict', `network "${name}" exists already`);
    }
    if (this.#networks.size >= LIMITS.networksMax) {
      const message = `all ${LIMITS.networksMax} networks of this node are in use`;
      throw new HearthError('NodeFull', message, { hint: 'remove a network that nobody uses' });
    }
    const numbers = new Set([...this.#networks.values()].map(({ state }) => state.number));
    let number = 0;
    while (numbers.has(number)) number += 1;
    const subnet = this.#chooseSubnet(name, request.subnet);
    return { version: 1, name, number, subnet, internal, labels, createdAtMs: Date.now() };
  }

  #chooseSubnet(name: string, wanted: string | undefined): string {
    const { subnet: own, pool } = this.#options;
    const others = [...this.#networks.values()];
    if (wanted === undefined) {
      const taken = others.map(({ subnet }) => subnet);
      const free = pool === undefined ? undefined : freeSubnet(pool, taken);
      if (free !== undefined) return free.text;
      throw new HearthError('NodeFull', `no subnet of ${own.text} is free for network "${name}"`, {
        hint: 'name a subnet, such as 172.20.0.0/24',
      });
    }
    const subnet = parseSubnet(wanted);
    const engine = others.map((one) => ({
      subnet: one.subnet,
      owner: `network "${one.state.name}"`,
    }));
    const owner = subnetOwner(subnet, {
      engine: [{ subnet: own, owner: "this node's containers" }, ...engine],
      routes: parseRoutes(readFileSync('/proc/net/route', 'utf8')),
    });
    if (owner === undefined) return subnet.text;
    const message = `subnet ${subnet.text} of network "${name}" overlaps ${owner}`;
    throw new HearthError('Conflict', message, { hint: 'name another subnet' });
  }
}
