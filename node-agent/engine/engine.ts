import { mkdirSync, realpathSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { HearthError } from '../../lib/errors.ts';
import { LIMITS } from '../../lib/limits.ts';
import { adoptContainers } from './adopt.ts';
import { BlankPool } from './blank-pool.ts';
import { detectCgroupLayout, EngineCgroups } from './cgroup/cgroup.ts';
import { ResourceWatch } from './cgroup/resource-watch.ts';
import type { ContainerSpec } from './container-spec.ts';
import { ContainerStarter } from './container-start.ts';
import { ContainerFolder, lastOf, listContainerIds } from './container-state.ts';
import type { Container, Engine, EngineOptions } from './engine-types.ts';
import { ExitFiles } from './exit-files.ts';
import { failpoint } from './failpoints.ts';
import { LauncherClient, StartRefused } from './launcher-client.ts';
import type { LiveContainer } from './live-container.ts';
import { EngineNetwork } from './network/network.ts';
import type { NetworkSlot } from './network/network-plan.ts';
import type { Networks } from './network/network-types.ts';
import { OciRuntimes } from './oci/runtimes.ts';
import { OutputLock, outputLockPath } from './output/output-lock.ts';
import { ReadyFolders } from './ready-folders.ts';
import { Slots } from './slots.ts';
import { resolveBindPaths } from './storage/bind-paths.ts';
import { EngineVolumes } from './storage/volumes.ts';

const NAME = /^[a-z0-9]{1,8}$/;
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
  readonly #exits: ExitFiles;
  readonly #runtimes: OciRuntimes;
  readonly volumes: EngineVolumes;
  readonly #network: EngineNetwork;
  readonly #blanks: BlankPool;
  readonly #folders: ReadyFolders;
  readonly #uidSlots = new Slots(LIMITS.agentInstancesMax);
  readonly #containers = new Map<string, LiveContainer>();
  readonly #starter: ContainerStarter;
  readonly #watch: ResourceWatch;
  #launcher: Promise<LauncherClient>;
  /** When launchers were replaced, the latest last. */
  #restarts: number[] = [];
  /** From `adopt` on: what containers say is read here, and nowhere else. */
  #outputLock: OutputLock | undefined;
  #closing = false;
  #closed: Promise<void> | undefined;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#containersDir = join(options.stateDir, 'containers');
    this.#stagingDir = join(options.stateDir, 'staging');
    for (const folder of [options.stateDir, this.#containersDir, this.#stagingDir]) {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
    }
    failpoint('open.after-folders');
    const mountRules = {
      bindRoots: resolveBindPaths(options.bindPaths ?? []),
      stateDir: realpathSync(options.stateDir),
      ownPaths: (options.ownPaths ?? []).map((path) => realpathSync(path)),
    };
    this.volumes = new EngineVolumes({ stateDir: mountRules.stateDir, log: options.log });
    this.#cgroups = new EngineCgroups(detectCgroupLayout(), options.name);
    failpoint('open.after-cgroups');
    // Living containers of an earlier process, which `adopt` may find, keep their uids and networks
    const known = listContainerIds(this.#containersDir).flatMap(
      (id) => new ContainerFolder(this.#containersDir, id).readState() ?? [],
    );
    for (const { uidSlot } of known) this.#uidSlots.claim(uidSlot);
    this.#exits = new ExitFiles(join(options.stateDir, 'exits'));
    this.#runtimes = new OciRuntimes(options);
    this.#launcher = this.#createLauncher();
    this.#blanks = new BlankPool({
      cgroups: this.#cgroups,
      exits: this.#exits,
      uidSlots: this.#uidSlots,
      uidBase: options.uidBase,
      stagingDir: this.#stagingDir,
      ready: options.blanks ?? BLANKS_DEFAULT,
      launcher: () => this.#launcher,
      log: options.log,
    });
    this.#folders = new ReadyFolders(
      join(options.stateDir, 'ready'),
      options.blanks ?? BLANKS_DEFAULT,
    );
    this.#network = new EngineNetwork({
      engine: options.name,
      stateDir: options.stateDir,
      subnet: options.subnet,
      ready: options.networkSlots ?? NETWORK_SLOTS_DEFAULT,
      allowed: options.allowedNetworks ?? [],
      reachableByUids: options.reachableByUids,
      known,
      log: options.log,
      configure: async (netns) => (await this.#launcher).prepareNetwork(netns),
    });
    this.#watch = new ResourceWatch(this.#containers);
    this.#starter = new ContainerStarter({
      containersDir: this.#containersDir,
      cgroups: this.#cgroups,
      exits: this.#exits,
      runtimes: this.#runtimes,
      network: this.#network,
      mountRules,
      volumes: this.volumes,
      blanks: this.#blanks,
      folders: this.#folders,
      containers: this.#containers,
      launcher: () => this.#launcher,
      log: options.log,
      onEvent: options.onEvent,
      forget: (id, uidSlot, network) => this.#forget(id, uidSlot, network),
    });
  }

  async open(): Promise<void> {
    await this.#launcher;
    failpoint('open.after-launcher');
    this.#blanks.fill();
    this.#folders.fill();
    void this.volumes.sweep();
    // Whoever needs the network hears of its failure by `acquire`
    this.#network.open().catch((error: unknown) => {
      this.#options.log.error({ error: String(error) }, 'network failed');
    });
  }

  get networks(): Networks {
    return this.#network.networks;
  }

  get(id: string): Container | undefined {
    const container = this.#containers.get(id);
    return container?.process === undefined ? undefined : container;
  }

  async start(spec: ContainerSpec): Promise<Container> {
    if (this.#closing) throw closing();
    return this.#starter.start(spec);
  }

  async adopt(): Promise<Container[]> {
    failpoint('adopt.before');
    this.#outputLock ??= await OutputLock.takeOver(outputLockPath(this.#options.stateDir));
    failpoint('adopt.after-lock');
    const adopted = await adoptContainers({
      containersDir: this.#containersDir,
      cgroups: this.#cgroups,
      exits: this.#exits,
      runtimes: this.#runtimes,
      ownsContainer: (id) => this.#containers.has(id),
      ownsCgroup: (name) => this.#ownsCgroup(name),
      uidBase: this.#options.uidBase,
      launcher: () => this.#launcher,
      log: this.#options.log,
      onEvent: this.#options.onEvent,
      claimNetwork: (state) => this.#network.adopt(state),
      onRemoved: (id, uidSlot, network) => this.#forget(id, uidSlot, network),
    });
    // All before the first wait: a launcher that replaces a lost one watches those it finds here
    for (const container of adopted) {
      this.#containers.set(container.id, container);
      this.volumes.adopt(container.id, container.spec);
    }
    for (const container of adopted) {
      await this.#watchEnd(container);
      failpoint('adopt.after-watch');
    }
    await this.#network.sweep();
    failpoint('adopt.after-sweep');
    return adopted;
  }

  close(options: { keepContainers?: boolean } = {}): Promise<void> {
    this.#closing = true;
    this.#closed ??= this.#close(options.keepContainers === true);
    return this.#closed;
  }

  async #close(keep: boolean): Promise<void> {
    this.#watch.close();
    await this.#starter.settled();
    const all = [...this.#containers.values()];
    if (keep) for (const container of all) container.detach();
    else await Promise.all(all.map((container) => container.remove()));
    await this.#blanks.close();
    this.#folders.close();
    // Also those that nobody has adopted yet, when this engine could not even begin
    const stays = keep && listContainerIds(this.#containersDir).length > 0;
    await this.#network.close({ keep: stays });
    const launcher = await this.#launcher.catch(() => undefined);
    this.#outputLock?.release();
    if (stays) return launcher?.leave();
    await launcher?.close();
    OutputLock.remove(outputLockPath(this.#options.stateDir));
    this.#cgroups.removeAll();
    this.#runtimes.close();
    for (const folder of [this.#stagingDir, this.#containersDir, this.#exits.folder]) {
      rmSync(folder, { recursive: true, force: true });
    }
    this.volumes.close();
    try {
      rmdirSync(this.#options.stateDir);
    } catch {
      // The owner keeps more in it
    }
  }

  async #forget(id: string, uidSlot: number, network: NetworkSlot | undefined): Promise<void> {
    this.#containers.delete(id);
    this.volumes.release(id);
    this.#uidSlots.free(uidSlot);
    if (network !== undefined) await this.#network.release(network);
  }

  #ownsCgroup(name: string): boolean {
    if (this.#blanks.owns(name) || this.#starter.count > 0) return true;
    return [...this.#containers.values()].some(({ parts }) => parts.cgroup.name === name);
  }

  async #watchEnd({ id, process }: LiveContainer): Promise<void> {
    if (process === undefined) return;
    try {
      await (await this.#launcher).watch({ id, ...lastOf(process) });
    } catch (error) {
      if (!(error instanceof StartRefused)) throw error;
    }
  }

  #createLauncher(): Promise<LauncherClient> {
    return LauncherClient.create({
      engine: this.#options.name,
      containersDir: this.#containersDir,
      outputLock: outputLockPath(this.#options.stateDir),
      onExited: ({ id, pid, status }) => {
        const container = this.#containers.get(id);
        if (container === undefined) return;
        const { process } = container;
        if (process === undefined || lastOf(process).pid === pid) void container.ended(status);
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
        if (process !== undefined) await launcher.watch({ id, ...lastOf(process) });
      }
      this.#blanks.fill();
    } catch (error) {
      this.#options.log.error({ error: String(error) }, 'launcher cannot be replaced');
    }
  }
}

function closing(): HearthError {
  return new HearthError('ShuttingDown', 'the container engine is closing');
}
