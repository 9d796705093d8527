import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { HearthError } from '../../lib/errors.ts';
import { LIMITS } from '../../lib/limits.ts';
import type { Log } from '../../lib/telemetry/log.ts';
import { failpoint } from './failpoints.ts';
import {
  bridgeCommands,
  type FirewallFacts,
  firewallRules,
  hostLinkCommands,
  insideCommands,
  type NetworkNames,
  type NetworkSlot,
  networkNames,
  networkSlot,
} from './network-plan.ts';
import { hostNameservers, ownAddresses } from './resolvers.ts';
import { runProgram } from './run-program.ts';
import { parseSubnet, type Subnet, slotCount } from './subnet.ts';

const NETNS_FOLDER = '/run/netns';

export interface NetworkOptions {
  engine: string;
  subnet: string;
  /** Slots kept ready. */
  ready: number;
  /** Private networks that containers may reach: CIDR. */
  allowed: readonly string[];
  log: Log;
  /** Writes the settings inside a namespace: the launcher's work, as the engine never enters one. */
  configure: (netns: string) => Promise<void>;
}

/** Path of a slot's network namespace. */
export function netnsPath(slot: NetworkSlot): string {
  return `${NETNS_FOLDER}/${slot.netns}`;
}

/**
 * The engine's bridge, firewall and pool of network namespaces. Links cost milliseconds to make and
 * tens to remove, so slots are made ahead, used once, and destroyed behind the caller's back.
 */
export class EngineNetwork {
  readonly #options: NetworkOptions;
  readonly #names: NetworkNames;
  readonly #subnet: Subnet;
  readonly #ready: NetworkSlot[] = [];
  readonly #waiting: { resolve: (slot: NetworkSlot) => void; reject: (error: unknown) => void }[] =
    [];
  readonly #used = new Set<number>();
  #next = 0;
  #filling: Promise<void> | undefined;
  #destroying: Promise<void> = Promise.resolve();
  #opened: Promise<void> | undefined;
  #closed = false;

  constructor(options: NetworkOptions) {
    this.#options = options;
    this.#names = networkNames(options.engine);
    this.#subnet = parseSubnet(options.subnet);
  }

  /** Loads the firewall, then makes the bridge, then begins to fill the pool. */
  open(): Promise<void> {
    this.#opened ??= this.#open();
    return this.#opened;
  }

  /** A slot of its own for one container. */
  async acquire(): Promise<NetworkSlot> {
    await this.open();
    const slot = this.#ready.shift();
    if (slot !== undefined) {
      this.#fill();
      return slot;
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#fill();
    });
  }

  /** Takes a slot of an earlier process as used. */
  adopt(number: number): NetworkSlot {
    this.#used.add(number);
    return networkSlot(this.#names, this.#subnet, number);
  }

  /** Destroys a used slot, after those before it; failures are logged. */
  release(slot: NetworkSlot): Promise<void> {
    this.#destroying = this.#destroying.then(() => this.#destroy(slot));
    return this.#destroying;
  }

  /** Destroys all slots of an earlier process but the adopted ones. */
  async sweep(): Promise<void> {
    const ours = new Set([...this.#used].map((number) => `${this.#names.netnsPrefix}${number}`));
    for (const slot of this.#ready) ours.add(slot.netns);
    for (const name of listFolder(NETNS_FOLDER)) {
      const number = Number(name.slice(this.#names.netnsPrefix.length));
      if (!name.startsWith(this.#names.netnsPrefix) || ours.has(name)) continue;
      if (Number.isInteger(number))
        await this.#destroy(networkSlot(this.#names, this.#subnet, number));
    }
  }

  /** Ends the pool; with `keep` the bridge and firewall stay for the containers that live on. */
  async close(options: { keep: boolean }): Promise<void> {
    this.#closed = true;
    await this.#opened?.catch(() => {});
    await this.#filling;
    for (const waiter of this.#waiting.splice(0)) waiter.reject(closing());
    for (const slot of this.#ready.splice(0)) void this.release(slot);
    await this.#destroying;
    if (options.keep || this.#opened === undefined) return;
    await this.#quietly('remove bridge', () => removeLink(this.#names.bridge));
    await this.#quietly('remove firewall', () =>
      runProgram('nft', ['delete', 'table', 'inet', this.#names.table]),
    );
  }

  async #open(): Promise<void> {
    const { bridge } = this.#names;
    const nameservers = hostNameservers();
    const own = ownAddresses(nameservers);
    const facts = {
      subnet: this.#subnet,
      resolvers: nameservers.filter((address) => !own.has(address)),
      hostResolvers: [...own],
      allowed: this.#options.allowed,
    };
    try {
      await this.#loadFirewall(facts);
      failpoint('network.after-firewall');
      if (!existsSync(`/sys/class/net/${bridge}`)) {
        await ipBatch([`link add name ${bridge} type bridge`]);
      }
      writeSetting(`/proc/sys/net/ipv6/conf/${bridge}/disable_ipv6`, '1');
      await ipBatch(bridgeCommands(this.#names, this.#subnet));
      failpoint('network.after-bridge');
      writeSetting('/proc/sys/net/ipv4/ip_forward', '1');
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      const hint = 'install iproute2 and nftables; `hearth doctor` checks both';
      throw new HearthError('KernelUnsupported', `cannot set up the network: ${reason}`, {
        hint,
        cause,
      });
    }
    this.#fill();
  }

  async #loadFirewall(facts: FirewallFacts): Promise<void> {
    const load = (rules: string) => runProgram('nft', ['-f', '-'], rules);
    const connectionsMax = LIMITS.containerConnectionsMax;
    try {
      await load(firewallRules(this.#names, { ...facts, connectionsMax }));
    } catch (error) {
      await load(firewallRules(this.#names, facts));
      this.#options.log.warn({ error: String(error) }, 'connections of containers are not limited');
    }
  }

  /** One filling at a time; it goes on until nobody waits and enough are ready. */
  #fill(): void {
    this.#filling ??= this.#fillUntilReady().finally(() => {
      this.#filling = undefined;
    });
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
    const slot = networkSlot(this.#names, this.#subnet, this.#takeNumber());
    try {
      await ipBatch([`netns add ${slot.netns}`]);
      failpoint('network.after-netns');
      // Before there is a link, so that it never gets an IPv6 address
      await this.#options.configure(netnsPath(slot));
      failpoint('network.after-settings');
      await ipBatch(hostLinkCommands(this.#names, slot));
      failpoint('network.after-host-link');
      await ipBatch(insideCommands(this.#subnet, slot), slot.netns);
      failpoint('network.after-inside-link');
      return slot;
    } catch (error) {
      await this.#destroy(slot);
      throw error;
    }
  }

  /** Numbers go round, so that an address rests as long as possible before it is used again. */
  #takeNumber(): number {
    const count = slotCount(this.#subnet);
    for (let tries = 0; tries < count; tries++) {
      const number = this.#next;
      this.#next = (this.#next + 1) % count;
      const { netns, veth } = networkSlot(this.#names, this.#subnet, number);
      const taken = existsSync(`${NETNS_FOLDER}/${netns}`) || existsSync(`/sys/class/net/${veth}`);
      if (this.#used.has(number) || taken) continue;
      this.#used.add(number);
      return number;
    }
    throw new HearthError('NodeFull', `all ${count} addresses of ${this.#subnet.text} are in use`);
  }

  async #destroy(slot: NetworkSlot): Promise<void> {
    await this.#quietly('remove link', () => removeLink(slot.veth));
    failpoint('network.destroy.after-link');
    await this.#quietly('remove network namespace', async () => {
      if (existsSync(netnsPath(slot))) await ipBatch([`netns delete ${slot.netns}`]);
    });
    failpoint('network.destroy.after-netns');
    this.#used.delete(slot.number);
  }

  async #quietly(what: string, act: () => Promise<unknown>): Promise<void> {
    try {
      await act();
    } catch (error) {
      this.#options.log.warn({ what, error: String(error) }, 'network clean-up failed');
    }
  }
}

function closing(): HearthError {
  return new HearthError('ShuttingDown', 'the container engine is closing');
}

async function removeLink(name: string): Promise<void> {
  if (existsSync(`/sys/class/net/${name}`)) await ipBatch([`link delete dev ${name}`]);
}

function ipBatch(lines: readonly string[], netns?: string): Promise<string> {
  const inside = netns === undefined ? [] : ['-n', netns];
  return runProgram('ip', [...inside, '-batch', '-'], `${lines.join('\n')}\n`);
}

/** Written only if it differs, so that a read-only /proc/sys with the right value is enough. */
function writeSetting(path: string, value: string): void {
  if (existsSync(path) && readFileSync(path, 'utf8').trim() !== value) writeFileSync(path, value);
}

function listFolder(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
