import { chownSync, mkdirSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { HearthError } from '../../lib/errors.ts';
import { LIMITS } from '../../lib/limits.ts';
import { adoptContainers } from './adopt.ts';
import { BlankPool, type ReadyBlank } from './blank-pool.ts';
import { detectCgroupLayout, EngineCgroups } from './cgroup.ts';
import type { ContainerSpec } from './container-spec.ts';
import {
  ContainerFolder,
  type ContainerState,
  listContainerIds,
  withoutSecrets,
} from './container-state.ts';
import type { Container, Engine, EngineOptions } from './engine-types.ts';
import { LauncherClient, StartRefused } from './launcher-client.ts';
import { AT_FDCWD, S_IFIFO } from './linux-constants.ts';
import { LiveContainer, removeParts, workDir } from './live-container.ts';
import { EngineNetwork, netnsPath } from './network.ts';
import type { NetworkSlot } from './network-plan.ts';
import { Slots } from './slots.ts';
import { checkSpec } from './spec-check.ts';
import { startError } from './start-error.ts';
import { planStart } from './start-plan.ts';
import { syscalls } from './syscalls.ts';

const NAME = /^[a-z0-9]{1,8}$/;
const START_MS = 15_000;
const NETWORK_SLOTS_DEFAULT = 4;
const BLANKS_DEFAULT = 2;
/** A launcher that ends more often than this within the window is not replaced any more. */
const LAUNCHER_RESTARTS_MAX = 5;
const RESTART_WINDOW_MS = 60_000;

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
  try {
    await engine.open();
    return engine;
  } catch (error) {
    // Containers of an earlier process are not this one's to end
    await engine.close({ keepContainers: true });
    throw error;
  }
}

class ContainerEngine implements Engine {
  readonly #options: EngineOptions;
  readonly #containersDir: string;
  readonly #stagingDir: string;
  readonly #cgroups: EngineCgroups;
  readonly #network: EngineNetwork;
  readonly #blanks: BlankPool;
  readonly #uidSlots = new Slots(LIMITS.agentInstancesMax);
  readonly #containers = new Map<string, LiveContainer>();
  readonly #starting = new Set<Promise<unknown>>();
  /** Ids of starts under way. */
  readonly #reserved = new Set<string>();
  #launcher: Promise<LauncherClient>;
  /** When launchers were replaced, the latest last. */
  #restarts: number[] = [];
  #closing = false;
  #closed: Promise<void> | undefined;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#containersDir = join(options.stateDir, 'containers');
    this.#stagingDir = join(options.stateDir, 'staging');
    for (const folder of [options.stateDir, this.#containersDir, this.#stagingDir]) {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
    }
    this.#cgroups = new EngineCgroups(detectCgroupLayout(), options.name);
    // Living containers of an earlier process, which `adopt` may find, keep their uids
    for (const id of listContainerIds(this.#containersDir)) {
      const state = new ContainerFolder(this.#containersDir, id).readState();
      if (state !== undefined) this.#uidSlots.claim(state.uidSlot);
    }
    this.#launcher = this.#createLauncher();
    this.#blanks = new BlankPool({
      cgroups: this.#cgroups,
      uidSlots: this.#uidSlots,
      uidBase: options.uidBase,
      stagingDir: this.#stagingDir,
      ready: options.blanks ?? BLANKS_DEFAULT,
      launcher: () => this.#launcher,
      log: options.log,
    });
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
    this.#blanks.fill();
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
      ownsContainer: (id) => this.#containers.has(id),
      ownsCgroup: (name) => this.#ownsCgroup(name),
      log: this.#options.log,
      claimNetwork: (number) => this.#network.adopt(number),
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

  close(options: { keepContainers?: boolean } = {}): Promise<void> {
    this.#closing = true;
    this.#closed ??= this.#close(options.keepContainers === true);
    return this.#closed;
  }

  async #close(keep: boolean): Promise<void> {
    await Promise.allSettled(this.#starting);
    const all = [...this.#containers.values()];
    if (keep) for (const container of all) container.detach();
    else await Promise.all(all.map((container) => container.remove()));
    await this.#blanks.close();
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
    if (this.#containers.has(spec.id) || this.#reserved.has(spec.id)) {
      throw new HearthError('Conflict', `container "${spec.id}" exists already`);
    }
    this.#reserved.add(spec.id);
    const made: Made = {};
    try {
      made.network = spec.network === 'bridge' ? await this.#network.acquire() : undefined;
      made.blank = await this.#blanks.take();
      const queued = performance.now();
      made.container = this.#prepare(spec, made.blank, made.network);
      await this.#launch(made.container, made.blank);
      const queueMs = queued - began;
      made.container.timings = { queueMs, spawnMs: performance.now() - queued };
      return made.container;
    } catch (error) {
      await this.#undo(spec, made);
      throw error instanceof StartRefused ? startError(error.failure, spec.argv) : error;
    } finally {
      this.#reserved.delete(spec.id);
      if (!this.#closing) this.#blanks.fill();
    }
  }

  /** Writes down what will be made, then makes it: an end in between leaves nothing unknown. */
  #prepare(
    spec: ContainerSpec,
    blank: ReadyBlank,
    network: NetworkSlot | undefined,
  ): LiveContainer {
    const { cgroup, uidSlot } = blank;
    const folder = new ContainerFolder(this.#containersDir, spec.id);
    folder.create();
    folder.writeState(stateOf({ spec, uidSlot, cgroup, network }));
    if (spec.upperDir !== undefined) {
      mkdirSync(spec.upperDir, { recursive: true, mode: 0o755 });
      mkdirSync(workDir(spec.upperDir), { mode: 0o700 });
    }
    if (spec.listenPath !== undefined) rmSync(spec.listenPath, { force: true });
    const owner = blank.uidBase + spec.user.uid;
    makeFifo(folder.stdout, owner);
    makeFifo(folder.stderr, owner);
    if (spec.statusPipe === true) makeFifo(folder.status, owner);
    this.#cgroups.limit(cgroup, spec.resources);
    const container = new LiveContainer({
      spec,
      uidSlot,
      folder,
      cgroup,
      ...(network === undefined ? {} : { network }),
      log: this.#options.log,
      onRemoved: () => this.#forget(spec.id, uidSlot, network),
    });
    // Before the launch: the report of a quick end may come with the report of the start
    this.#containers.set(spec.id, container);
    return container;
  }

  async #launch(container: LiveContainer, blank: ReadyBlank): Promise<void> {
    const { spec, folder, cgroup, network } = container.parts;
    const plan = planStart(spec, {
      uidBase: blank.uidBase,
      stdout: folder.stdout,
      stderr: folder.stderr,
      ...(spec.statusPipe === true ? { status: folder.status } : {}),
      ...(network === undefined ? {} : { netns: netnsPath(network) }),
    });
    // A child that hangs ends by its cgroup, and its outcome pipe says that it did
    const timer = setTimeout(() => void cgroup.kill().catch(() => {}), START_MS);
    try {
      const process = await (await this.#launcher).start(blank.name, plan);
      container.running(process);
      folder.writeState({ ...stateOf(container.parts), process });
    } finally {
      clearTimeout(timer);
    }
  }

  /** Takes back a failed start; the start's own error is the one that counts. */
  async #undo(spec: ContainerSpec, made: Made): Promise<void> {
    const { blank, container, network } = made;
    if (blank === undefined) {
      if (network !== undefined) void this.#network.release(network);
      return;
    }
    try {
      container?.detach();
      const { cgroup } = blank;
      await cgroup.kill();
      const folder = new ContainerFolder(this.#containersDir, spec.id);
      await removeParts({ spec, cgroup, folder });
    } catch (error) {
      this.#options.log.warn({ container: spec.id, error: String(error) }, 'clean-up failed');
    }
    this.#forget(spec.id, blank.uidSlot, network);
  }

  #forget(id: string, uidSlot: number, network: NetworkSlot | undefined): void {
    this.#containers.delete(id);
    this.#uidSlots.free(uidSlot);
    if (network !== undefined) void this.#network.release(network);
  }

  #ownsCgroup(name: string): boolean {
    if (this.#blanks.owns(name) || this.#reserved.size > 0) return true;
    return [...this.#containers.values()].some(({ parts }) => parts.cgroup.name === name);
  }

  #createLauncher(): Promise<LauncherClient> {
    return LauncherClient.create({
      onExited: ({ id, pid, status }) => {
        const container = this.#containers.get(id);
        if (container === undefined) return;
        if (container.process === undefined || container.pid === pid) void container.ended(status);
      },
      onBlankLost: (name) => this.#blanks.lost(name),
      onLost: () => void this.#replaceLauncher(),
      log: this.#options.log,
    });
  }

  /** Containers outlive their launcher; a new one waits for their ends. */
  async #replaceLauncher(): Promise<void> {
    const nowMs = performance.now();
    this.#restarts = [...this.#restarts, nowMs].filter((at) => nowMs - at < RESTART_WINDOW_MS);
    if (this.#closing || this.#restarts.length > LAUNCHER_RESTARTS_MAX) return;
    this.#launcher = this.#createLauncher();
    this.#blanks.reset();
    try {
      const launcher = await this.#launcher;
      for (const { id, process } of this.#containers.values()) {
        if (process !== undefined) await launcher.watch({ id, ...process });
      }
      this.#blanks.fill();
    } catch (error) {
      this.#options.log.error({ error: String(error) }, 'launcher cannot be replaced');
    }
  }
}

/** What a start has taken so far. */
interface Made {
  network?: NetworkSlot | undefined;
  blank?: ReadyBlank;
  container?: LiveContainer;
}

function stateOf(parts: {
  spec: ContainerSpec;
  uidSlot: number;
  cgroup: { name: string };
  network?: NetworkSlot | undefined;
}): ContainerState {
  const { spec, uidSlot, cgroup, network } = parts;
  return {
    version: 1,
    spec: withoutSecrets(spec),
    uidSlot,
    cgroup: cgroup.name,
    ...(network === undefined ? {} : { networkSlot: network.number }),
  };
}

function makeFifo(path: string, owner: number): void {
  syscalls.mknodat(AT_FDCWD, path, S_IFIFO | 0o600, 0);
  // The program may open its streams again by /dev/stdout
  chownSync(path, owner, owner);
}

function closing(): HearthError {
  return new HearthError('ShuttingDown', 'the container engine is closing');
}
