import { HearthError } from '../../../lib/errors.ts';
import type { Log } from '../../../lib/telemetry/log.ts';
import { Forwarder } from './dns/forwarder.ts';
import { type Member, NameTable } from './dns/name-table.ts';
import { DnsServer } from './dns/server.ts';
import type { BridgePlan } from './firewall-rules.ts';
import { makeBridge } from './links.ts';
import { bridgeCommands, type NetworkNames } from './network-plan.ts';
import type { NetworkState } from './network-state.ts';
import type { NetworkInfo } from './network-types.ts';
import { nameservers } from './resolvers.ts';
import { gatewayAddress, parseSubnet, type Subnet, slotAddress, slotCount } from './subnet.ts';

/** One named network: its bridge, addresses, names and name server. */
export class NamedNetwork {
  readonly state: NetworkState;
  readonly subnet: Subnet;
  readonly bridge: string;
  readonly gateway: string;
  readonly #table = new NameTable();
  readonly #dns: DnsServer;
  /** Addresses go round, so that one rests before it is used again. */
  #next = 0;

  constructor(state: NetworkState, options: { names: NetworkNames; log: Log }) {
    this.state = state;
    this.subnet = parseSubnet(state.subnet);
    this.bridge = `${options.names.namedPrefix}${state.number.toString(36)}`;
    this.gateway = gatewayAddress(this.subnet);
    this.#dns = new DnsServer({
      address: this.gateway,
      subnet: this.subnet,
      table: this.#table,
      ...(state.internal ? {} : { forwarder: new Forwarder({ resolvers: nameservers }) }),
      log: options.log,
    });
  }

  get plan(): BridgePlan {
    const { bridge, subnet, state } = this;
    return { bridge, subnet, named: { internal: state.internal } };
  }

  get members(): Member[] {
    return this.#table.members;
  }

  get info(): NetworkInfo {
    const { name, internal, labels, createdAtMs } = this.state;
    const containers = this.members.map(({ id, hostname, address }) => ({
      id,
      name: hostname,
      address,
    }));
    const { gateway, subnet } = this;
    return { name, subnet: subnet.text, gateway, internal, labels, createdAtMs, containers };
  }

  /** Makes the bridge and answers questions. */
  async open(): Promise<void> {
    await makeBridge(this.bridge, bridgeCommands(this.bridge, this.subnet));
    await this.#dns.listen();
  }

  async close(): Promise<void> {
    await this.#dns.close();
  }

  /** Gives a container its names and an address, or the one that it has. @throws HearthError NodeFull */
  join(member: Omit<Member, 'address'> & { address?: string }): string {
    const address = member.address ?? this.#freeAddress();
    this.#table.add({ ...member, address });
    return address;
  }

  leave(address: string): void {
    this.#table.remove(address);
    this.#dns.forget(address);
  }

  #freeAddress(): string {
    const count = slotCount(this.subnet);
    for (let tries = 0; tries < count; tries++) {
      const address = slotAddress(this.subnet, this.#next);
      this.#next = (this.#next + 1) % count;
      if (this.#table.nameOf(address) === undefined) return address;
    }
    const { name } = this.state;
    throw new HearthError('NodeFull', `all ${count} addresses of network "${name}" are in use`);
  }
}
