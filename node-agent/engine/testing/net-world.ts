import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Ledger } from '../../../lib/testing/ledger.ts';
import type { ContainerSpec, ExitStatus } from '../container-spec.ts';
import type { EngineOptions } from '../engine-types.ts';
import { parseNameservers } from '../network/resolvers.ts';
import { makeBusyboxLayer } from './busybox-layer.ts';
import { engineOptions, engineScope, makeSpec } from './engine-world.ts';
import { addNetProbes } from './net-probe.ts';
import { type RemoteContainer, RemoteEngine } from './remote-engine.ts';

/** The host's addresses: public, private, and loopback. */
export const HOST = { public: '203.0.113.1', private: '10.40.0.1', loopback: '127.0.0.1' };
/** An abstract unix socket of the host's network. */
export const HOST_ABSTRACT = 'hearth-test-abstract';
/** A neighbour on the host's private network, and where the outside world begins. */
export const PEER = { public: '203.0.113.2', private: '10.40.0.2', ipv6: '2001:db8:1::2' };
/** Somewhere else. */
export const PUBLIC = '198.51.100.9';
export const METADATA = ['169.254.169.254', '168.63.129.16', '100.100.100.200', '192.0.0.192'];
export const METADATA_IPV6 = 'fd00:ec2::254';
export const PRIVATE = ['10.200.0.9', '172.20.0.9', '192.168.77.9', '100.64.9.9'];
export const OUTSIDE_PORTS = [53, 80, 443];
export const HOST_PORTS = [22, 53, 6379, 8080];

const LISTENER = fileURLToPath(new URL('./listener-process.js', import.meta.url));

/** Programs that listen in one network namespace, and what came to them. */
class Listener {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  private constructor(netns: string, places: readonly string[]) {
    const args = [`--net=${netns}`, process.execPath, LISTENER, ...places];
    this.#child = spawn('nsenter', args, { stdio: ['pipe', 'pipe', 'inherit'] });
    if (this.#child.stdout === null) throw new Error('no stdout');
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  static async make(netns: string, places: readonly string[]): Promise<Listener> {
    const listener = new Listener(netns, places);
    await listener.#line();
    return listener;
  }

  /** Who came since the last call: `tcp 10.0.0.1:80 REMOTE`. */
  async seen(): Promise<string[]> {
    const line = this.#line();
    this.#child.stdin?.write('\n');
    return JSON.parse(await line);
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('close', resolve));
    this.#child.kill('SIGKILL');
    await ended;
  }

  async #line(): Promise<string> {
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error('listener ended');
    return value;
  }
}

/**
 * A host's network and the world around it, in namespaces of their own: an engine lives in the host's.
 * Every address of the world answers on every port, and says who came.
 */
export class NetWorld {
  readonly folder = mkdtempSync(join(tmpdir(), 'hearth-net-'));
  readonly options: EngineOptions;
  readonly nameservers = parseNameservers(readFileSync('/etc/resolv.conf', 'utf8')).filter(
    (address) => !address.startsWith('127.'),
  );
  readonly #layer: string;
  readonly #probe: string;
  readonly #ledger: Ledger;
  readonly #names = [`hearthtest-h${process.pid}`, `hearthtest-o${process.pid}`] as const;
  readonly #listeners: Listener[] = [];
  #engine: RemoteEngine | undefined;

  private constructor(more: Partial<EngineOptions>) {
    // For the probe as another user
    chmodSync(this.folder, 0o755);
    this.#layer = makeBusyboxLayer(join(this.folder, 'layer'));
    this.#probe = addNetProbes(this.#layer);
    this.options = { ...engineOptions(this.folder), subnet: '10.77.0.0/22', ...more };
    this.#ledger = new Ledger(engineScope(this.options));
  }

  static async make(more: Partial<EngineOptions> = {}): Promise<NetWorld> {
    const world = new NetWorld(more);
    try {
      world.#makeNetworks();
      await world.#listen();
      await world.restart();
      return world;
    } catch (error) {
      await world.close();
      throw error;
    }
  }

  get engine(): RemoteEngine {
    if (this.#engine === undefined) throw new Error('no engine');
    return this.#engine;
  }

  /** Path of the host's network namespace. */
  get hostNetns(): string {
    return `/run/netns/${this.#names[0]}`;
  }

  get outsideNetns(): string {
    return `/run/netns/${this.#names[1]}`;
  }

  /** Another engine on the same host. The caller closes it. */
  anotherEngine(): RemoteEngine {
    const { name, stateDir, uidBase } = this.options;
    const more = { subnet: '10.91.0.0/24', uidBase: uidBase + 0x0400_0000 };
    const options = { ...this.options, ...more, name: `${name}x`, stateDir: `${stateDir}-other` };
    return new RemoteEngine(options, { netns: this.hostNetns });
  }

  /** Begins an engine; one that was there is killed first. */
  async restart(): Promise<RemoteContainer[]> {
    await this.#engine?.crash();
    this.#engine = new RemoteEngine(this.options, { netns: this.hostNetns });
    return (await this.#engine.adopt()).adopted;
  }

  spec(argv: readonly string[], more: Partial<ContainerSpec> = {}): ContainerSpec {
    return makeSpec(this.#layer, argv, { network: 'bridge', ...more });
  }

  /** Starts, waits for the end, removes. */
  async run(
    argv: readonly string[],
    more: Partial<ContainerSpec> = {},
  ): Promise<ExitStatus & { text: string }> {
    const { id } = await this.engine.start(this.spec(argv, more));
    const status = await this.engine.exited(id);
    const text = await this.engine.output(id);
    await this.engine.remove(id);
    return { ...status, text };
  }

  /** A container that answers on port 80, TCP and UDP, with its client's address. */
  async serve(more: Partial<ContainerSpec> = {}): Promise<RemoteContainer & { address: string }> {
    const container = await this.engine.start(this.spec(['/bin/net-probe', 'serve', '80'], more));
    const { address, id } = container;
    if (address === undefined) throw new Error('no address');
    for (let tries = 0; (await this.engine.output(id)) === ''; tries++) {
      if (tries === 200) throw new Error('the server does not come up');
      await sleep(10);
    }
    return { ...container, address };
  }

  /** Runs the probe as root of the host in the host's network. */
  probeAsHost(args: readonly string[]): string {
    return this.enter(this.hostNetns, [this.#probe, ...args]);
  }

  /** Verdicts of the probe from inside a container, by target. */
  async probe(
    targets: readonly string[],
    more: Partial<ContainerSpec> = {},
  ): Promise<Record<string, string>> {
    return verdicts((await this.run(['/bin/net-probe', ...targets], more)).text);
  }

  /** The same from the host, as root. */
  probeHost(targets: readonly string[]): Record<string, string> {
    return verdicts(this.enter(this.hostNetns, [this.#probe, ...targets]));
  }

  /** The same as another user of the host. */
  probeHostAs(uid: number, targets: readonly string[]): Record<string, string> {
    const become = ['setpriv', '--reuid', `${uid}`, '--clear-groups'];
    return verdicts(this.enter(this.hostNetns, [...become, this.#probe, ...targets]));
  }

  /** The same from the outside world. */
  probeOutside(targets: readonly string[]): Record<string, string> {
    return verdicts(this.enter(this.outsideNetns, [this.#probe, ...targets]));
  }

  /** Runs the probe as root of the host in the network namespace of a container. */
  probeAs(pid: number, args: readonly string[]): string {
    return this.enter(`/proc/${pid}/ns/net`, [this.#probe, ...args]);
  }

  /** Runs a program of this machine in a network namespace. */
  enter(netns: string, argv: readonly string[]): string {
    return execFileSync('nsenter', [`--net=${netns}`, ...argv], { encoding: 'utf8' });
  }

  /** What came to the outside world, and to the host, since the last call. */
  async seen(): Promise<string[]> {
    return (await Promise.all(this.#listeners.map((listener) => listener.seen()))).flat();
  }

  async close(): Promise<void> {
    await this.#engine?.close({ keepContainers: false }).catch(async () => {
      // One that was killed left its containers to the next
      await this.restart();
      await this.#engine?.close({ keepContainers: false });
    });
    for (const listener of this.#listeners.splice(0)) await listener.close();
    for (const name of this.#names) ip(['netns', 'delete', name], { quiet: true });
    rmSync(this.folder, { recursive: true, force: true });
    await this.#ledger.assertBalanced();
  }

  #makeNetworks(): void {
    const [host, outside] = this.#names;
    for (const name of this.#names) ip(['netns', 'add', name]);
    ip([
      'link',
      'add',
      'wan',
      'netns',
      host,
      'type',
      'veth',
      'peer',
      'name',
      'wan',
      'netns',
      outside,
    ]);
    const everywhere = [PUBLIC, ...METADATA, ...PRIVATE, ...this.nameservers];
    batch(host, [
      ...['link set lo up', 'link set wan up'],
      `address add ${HOST.public}/24 dev wan`,
      `address add ${HOST.private}/24 dev wan`,
      'address add 2001:db8:1::1/64 dev wan nodad',
      `route add default via ${PEER.public}`,
    ]);
    batch(outside, [
      ...['link set lo up', 'link set wan up'],
      `address add ${PEER.public}/24 dev wan`,
      `address add ${PEER.private}/24 dev wan`,
      `address add ${PEER.ipv6}/64 dev wan nodad`,
      `address add ${METADATA_IPV6}/128 dev lo nodad`,
      ...everywhere.map((address) => `address add ${address}/32 dev lo`),
    ]);
    batch(host, [`-6 route add default via ${PEER.ipv6}`]);
    // A host that would let IPv6 through
    const settings = ['all', 'default'].map((of) => `/proc/sys/net/ipv6/conf/${of}/forwarding`);
    const switchOn = 'for (const path of process.argv.slice(1)) fs.writeFileSync(path, "1")';
    this.enter(this.hostNetns, [process.execPath, '-e', switchOn, ...settings]);
  }

  async #listen(): Promise<void> {
    const at = (addresses: readonly string[], ports: readonly number[]): string[] =>
      addresses.flatMap((address) => ports.map((port) => `${address},${port}`));
    const outside = [
      ...[PUBLIC, ...METADATA, ...PRIVATE, ...this.nameservers, ...Object.values(PEER)],
      METADATA_IPV6,
    ];
    this.#listeners.push(
      await Listener.make(this.outsideNetns, at(outside, OUTSIDE_PORTS)),
      await Listener.make(this.hostNetns, [
        ...at(Object.values(HOST), HOST_PORTS),
        `@${HOST_ABSTRACT}`,
      ]),
    );
  }
}

function verdicts(text: string): Record<string, string> {
  const lines = text.split('\n').filter((line) => line !== '');
  return Object.fromEntries(lines.map((line) => line.split(' ', 2) as [string, string]));
}

function ip(args: readonly string[], options: { quiet?: boolean } = {}): void {
  try {
    execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  } catch (error) {
    if (options.quiet !== true) throw error;
  }
}

function batch(netns: string, lines: readonly string[]): void {
  const input = `${lines.filter((line) => !line.startsWith('-6')).join('\n')}\n`;
  execFileSync('ip', ['-n', netns, '-batch', '-'], { input });
  for (const line of lines.filter((one) => one.startsWith('-6'))) {
    execFileSync('ip', ['-n', netns, ...line.split(' ')]);
  }
}
