import { chownSync, mkdirSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { HearthError } from '../../lib/errors.ts';
import { LIMITS } from '../../lib/limits.ts';
import { adoptContainers } from './adopt.ts';
import { detectCgroupLayout, EngineCgroups } from './cgroup.ts';
import type { ContainerSpec } from './container-spec.ts';
import { ContainerFolder, withoutSecrets } from './container-state.ts';
import type { Container, Engine, EngineOptions } from './engine-types.ts';
import { UIDS_PER_CONTAINER } from './launcher/user-namespaces.ts';
import { LauncherClient, StartRefused } from './launcher-client.ts';
import { AT_FDCWD, S_IFIFO } from './linux-constants.ts';
import { LiveContainer, removeParts, workDir } from './live-container.ts';
import { EngineNetwork, netnsPath } from './network.ts';
import type { NetworkSlot } from './network-plan.ts';
import { ContainerOutput, StatusLine } from './output.ts';
import { Slots } from './slots.ts';
import { checkSpec } from './spec-check.ts';
import { startError } from './start-error.ts';
import { planStart } from './start-plan.ts';
import { syscalls } from './syscalls.ts';

const NAME = /^[a-z0-9]{1,8}$/;
const START_MS = 15_000;
const NETWORK_SLOTS_DEFAULT = 4;
const USER_NAMESPACES_AHEAD = 4;
const LAUNCHER_RESTARTS_MAX = 5;

/**
 * Makes an engine: its folders, cgroups, launcher, and in the background its network. Call `adopt`
 * before the first start, so that what an earlier process left is taken over or removed.
 * @throws HearthError KernelUnsupported, ConfigInvalid
 */
export async function createEngine(options: EngineOptions): Promise<Engine> {
  if (!NAME.test(options.name)) {
    const message = `engine name must match ${NAME.source}: current value is "${options.name}"`;
    throw new HearthError('ConfigInvalid', message);
  }
  if (process.getuid?.() !== 0) {
    const hint = 'start the node agent and the builder as root';
    throw new HearthError('KernelUnsupported', 'the container engine needs root', { hint });
  }
  const engine = new ContainerEngine(options);
  await engine.open();
  return engine;
}

class ContainerEngine implements Engine {
  readonly #options: EngineOptions;
  readonly #containersDir: string;
  readonly #stagingDir: string;
  readonly #cgroups: EngineCgroups;
  readonly #network: EngineNetwork;
  readonly #uidSlots = new Slots(LIMITS.agentInstancesMax);
  readonly #containers = new Map<string, LiveContainer>();
  readonly #starting = new Set<Promise<unknown>>();
  #launcher: Promise<LauncherClient>;
  #preparedUsers = new Set<number>();
  #restarts = 0;
  #closing = false;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#containersDir = join(options.stateDir, 'containers');
    this.#stagingDir = join(options.stateDir, 'staging');
    for (const folder of [options.stateDir, this.#containersDir, this.#stagingDir]) {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
    }
    this.#cgroups = new EngineCgroups(detectCgroupLayout(), options.name);
    this.#launcher = this.#createLauncher();
    this.#network = new EngineNetwork({
      engine: options.name,
      subnet: options.subnet,
      ready: options.networkSlots ?? NETWORK_SLOTS_DEFAULT,
      allowed: options.allowedNetworks ?? [],
      log: options.log,
      configure: async (netns) => (await this.#launcher).prepareNetwork(netns),
    });
  }

  async open(): Promise<void> {
    await this.#launcher;
    this.#prepareUsers();
    // Whoever needs the network hears of its failure by `acquire`
    this.#network.open().catch((error: unknown) => {
      this.#options.log.error({ error: String(error) }, 'network failed');
    });
  }

  get(id: string): Container | undefined {
    const container = this.#containers.get(id);
    return container?.process === undefined ? undefined : container;
  }

  start(spec: ContainerSpec): Promise<Container> {
    const started = this.#start(spec);
    this.#starting.add(started);
    const forget = (): void => void this.#starting.delete(started);
    started.then(forget, forget);
    return started;
  }

  async adopt(): Promise<Container[]> {
    const adopted = await adoptContainers({
      containersDir: this.#containersDir,
      cgroups: this.#cgroups,
      known: new Set(this.#containers.keys()),
      log: this.#options.log,
      claim: (state) =>
        this.#uidSlots.claim(state.uidSlot) && state.networkSlot !== undefined
          ? this.#network.adopt(state.networkSlot)
          : undefined,
      onRemoved: (id, uidSlot, network) => this.#forget(id, uidSlot, network),
    });
    const launcher = await this.#launcher;
    for (const container of adopted) {
      this.#containers.set(container.id, container);
      const { process } = container;
      if (process !== undefined) await launcher.watch({ id: container.id, ...process });
    }
    await this.#network.sweep();
    return adopted;
  }

  async close(options: { keepContainers?: boolean } = {}): Promise<void> {
    const keep = options.keepContainers === true;
    this.#closing = true;
    await Promise.allSettled(this.#starting);
    const all = [...this.#containers.values()];
    if (keep) for (const container of all) container.detach();
    else await Promise.all(all.map((container) => container.remove()));
    await this.#network.close({ keep: keep && all.length > 0 });
    await (await this.#launcher.catch(() => undefined))?.close();
    if (keep && all.length > 0) return;
    this.#cgroups.removeAll();
    for (const folder of [this.#stagingDir, this.#containersDir]) {
      rmSync(folder, { recursive: true, force: true });
    }
    try {
      rmdirSync(this.#options.stateDir);
    } catch {
      // The owner keeps more in it
    }
  }

  async #start(spec: ContainerSpec): Promise<Container> {
    const began = performance.now();
    if (this.#closing) throw closing();
    checkSpec(spec);
    if (this.#containers.has(spec.id)) {
      throw new HearthError('Conflict', `container "${spec.id}" exists already`);
    }
    const uidSlot = this.#uidSlots.take();
    if (uidSlot === undefined) {
      const most = LIMITS.agentInstancesMax;
      throw new HearthError('NodeFull', `all ${most} containers of this engine are in use`);
    }
    let network: NetworkSlot | undefined;
    let container: LiveContainer | undefined;
    try {
      network = spec.network === 'bridge' ? await this.#network.acquire() : undefined;
      const launcher = await this.#launcher;
      const queued = performance.now();
      container = this.#prepare(spec, uidSlot, network);
      await this.#launch(launcher, container);
      const queueMs = queued - began;
      container.timings = { queueMs, spawnMs: performance.now() - queued };
      return container;
    } catch (error) {
      await this.#undo(spec, { uidSlot, network, container });
      throw error instanceof StartRefused ? startError(error.failure, spec.argv) : error;
    } finally {
      this.#prepareUsers();
    }
  }

  /** Writes down what will be made, then makes it: an end in between leaves nothing unknown. */
  #prepare(spec: ContainerSpec, uidSlot: number, network: NetworkSlot | undefined): LiveContainer {
    const folder = new ContainerFolder(this.#containersDir, spec.id);
    folder.create();
    folder.writeState({
      version: 1,
      spec: withoutSecrets(spec),
      uidSlot,
      ...(network === undefined ? {} : { networkSlot: network.number }),
    });
    if (spec.upperDir !== undefined) {
      mkdirSync(spec.upperDir, { recursive: true, mode: 0o755 });
      mkdirSync(workDir(spec.upperDir), { mode: 0o700 });
    }
    if (spec.listenPath !== undefined) rmSync(spec.listenPath, { force: true });
    const owner = this.#uidBase(uidSlot) + spec.user.uid;
    makeFifo(folder.stdout, owner);
    makeFifo(folder.stderr, owner);
    if (spec.statusPipe === true) makeFifo(folder.status, owner);
    const container = new LiveContainer({
      spec,
      uidSlot,
      folder,
      cgroup: this.#cgroups.create(spec.id, spec.resources),
      output: new ContainerOutput(folder),
      ...(spec.statusPipe === true ? { status: new StatusLine(folder.status) } : {}),
      ...(network === undefined ? {} : { network }),
      log: this.#options.log,
      onRemoved: () => this.#forget(spec.id, uidSlot, network),
    });
    // Before the launch: the report of a quick end may come with the report of the start
    this.#containers.set(spec.id, container);
    return container;
  }

  async #launch(launcher: LauncherClient, container: LiveContainer): Promise<void> {
    const { spec, uidSlot, folder, cgroup, network } = container.parts;
    const plan = planStart(spec, {
      stagingDir: this.#stagingDir,
      uidBase: this.#uidBase(uidSlot),
      cgroups: cgroup.folders,
      stdout: folder.stdout,
      stderr: folder.stderr,
      ...(spec.statusPipe === true ? { status: folder.status } : {}),
      ...(network === undefined ? {} : { netns: netnsPath(network) }),
    });
    // A child that hangs ends by its cgroup, and its outcome pipe says that it did
    const timer = setTimeout(() => void cgroup.kill().catch(() => {}), START_MS);
    try {
      const process = await launcher.start(plan);
      container.running(process);
      const networkSlot = network === undefined ? {} : { networkSlot: network.number };
      folder.writeState({
        version: 1,
        spec: withoutSecrets(spec),
        uidSlot,
        ...networkSlot,
        process,
      });
    } finally {
      clearTimeout(timer);
    }
  }

  /** Takes back a failed start; the start's own error is the one that counts. */
  async #undo(
    spec: ContainerSpec,
    made: {
      uidSlot: number;
      network: NetworkSlot | undefined;
      container: LiveContainer | undefined;
    },
  ): Promise<void> {
    try {
      made.container?.detach();
      const cgroup = this.#cgroups.open(spec.id);
      await cgroup.kill();
      await removeParts({
        spec,
        cgroup,
        folder: new ContainerFolder(this.#containersDir, spec.id),
      });
    } catch (error) {
      this.#options.log.warn({ container: spec.id, error: String(error) }, 'clean-up failed');
    }
    this.#forget(spec.id, made.uidSlot, made.network);
  }

  #forget(id: string, uidSlot: number, network: NetworkSlot | undefined): void {
    this.#containers.delete(id);
    this.#uidSlots.free(uidSlot);
    if (network !== undefined) void this.#network.release(network);
  }

  #uidBase(slot: number): number {
    return this.#options.uidBase + slot * UIDS_PER_CONTAINER;
  }

  /** User namespaces cost a fork each: the next few are made off the path. */
  #prepareUsers(): void {
    if (this.#closing) return;
    for (const slot of this.#uidSlots.nextFree(USER_NAMESPACES_AHEAD)) {
      if (this.#preparedUsers.has(slot)) continue;
      this.#preparedUsers.add(slot);
      this.#launcher
        .then((launcher) => launcher.prepareUser(this.#uidBase(slot)))
        .catch(() => this.#preparedUsers.delete(slot));
    }
  }

  #createLauncher(): Promise<LauncherClient> {
    return LauncherClient.create({
      onExited: ({ id, pid, status }) => {
        const container = this.#containers.get(id);
        if (container === undefined) return;
        if (container.process === undefined || container.pid === pid) void container.ended(status);
      },
      onLost: () => void this.#replaceLauncher(),
      log: this.#options.log,
    });
  }

  /** Containers outlive their launcher; a new one waits for their ends. */
  async #replaceLauncher(): Promise<void> {
    this.#restarts += 1;
    if (this.#closing || this.#restarts > LAUNCHER_RESTARTS_MAX) return;
    this.#preparedUsers = new Set();
    this.#launcher = this.#createLauncher();
    try {
      const launcher = await this.#launcher;
      for (const { id, process } of this.#containers.values()) {
        if (process !== undefined) await launcher.watch({ id, ...process });
      }
    } catch (error) {
      this.#options.log.error({ error: String(error) }, 'launcher cannot be replaced');
    }
  }
}

function makeFifo(path: string, owner: number): void {
  syscalls.mknodat(AT_FDCWD, path, S_IFIFO | 0o600, 0);
  // The program may open its streams again by /dev/stdout
  chownSync(path, owner, owner);
}

function closing(): HearthError {
  return new HearthError('ShuttingDown', 'the container engine is closing');
}
