import { chownSync, mkdirSync, rmSync } from 'node:fs';
import { HearthError } from '../../lib/errors.ts';
import type { Log } from '../../lib/telemetry/log.ts';
import type { BlankPool, ReadyBlank } from './blank-pool.ts';
import type { EngineCgroups } from './cgroup/cgroup.ts';
import { emitterOf } from './container-events.ts';
import type { ContainerSpec } from './container-spec.ts';
import { ContainerFolder, type ContainerState, withoutSecrets } from './container-state.ts';
import type { EngineEventListener } from './engine-event.ts';
import type { Container } from './engine-types.ts';
import type { ExitFiles } from './exit-files.ts';
import { failpoint } from './failpoints.ts';
import type { StartPlan } from './launcher/messages.ts';
import { type LauncherClient, StartRefused } from './launcher-client.ts';
import { LiveContainer, removeParts, workDir } from './live-container.ts';
import { type EngineNetwork, netnsPath } from './network/network.ts';
import { type NetworkSlot, networkState, withNameServer } from './network/network-plan.ts';
import { type OciRuntimes, startingResources } from './oci/runtimes.ts';
import { untilDone } from './persistent.ts';
import type { ReadyFolders } from './ready-folders.ts';
import { hostError } from './shortage.ts';
import { checkSpec } from './spec-check.ts';
import { startError } from './start-error.ts';
import { planStart } from './start-plan.ts';
import { isOnDisk, makeDiskImage } from './storage/disk-image.ts';
import type { MountRules } from './storage/mount-check.ts';
import { planMounts } from './storage/mount-plan.ts';
import type { EngineVolumes } from './storage/volumes.ts';

const START_MS = 15_000;
/** In which a program says that it is ready, if it is quick. */
const REFILL_MS = 10;

/** What of the engine a start uses. */
export interface StartContext {
  containersDir: string;
  cgroups: EngineCgroups;
  exits: ExitFiles;
  runtimes: OciRuntimes;
  network: EngineNetwork;
  mountRules: MountRules;
  volumes: EngineVolumes;
  blanks: BlankPool;
  folders: ReadyFolders;
  /** All that were launched, or are about to be, by id. */
  containers: Map<string, LiveContainer>;
  launcher: () => Promise<LauncherClient>;
  log: Log;
  onEvent: EngineEventListener | undefined;
  /** Takes a container out of the engine's books and gives its slots back. */
  forget: (id: string, uidSlot: number, network: NetworkSlot | undefined) => Promise<void>;
}

/** The way from a spec to a running program; nothing of a start that fails is left. */
export class ContainerStarter {
  readonly #context: StartContext;
  /** Ids of starts under way. */
  readonly #reserved = new Set<string>();
  /** Ids of starts that failed, and of which something is left. */
  readonly #leftover = new Set<string>();
  readonly #starting = new Set<Promise<unknown>>();
  #refill: NodeJS.Timeout | undefined;

  constructor(context: StartContext) {
    this.#context = context;
  }

  /** Starts under way. */
  get count(): number {
    return this.#reserved.size;
  }

  /** Resolves when no start is under way. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#starting);
  }

  start(spec: ContainerSpec): Promise<Container> {
    return this.#track(this.#start(spec));
  }

  #track<T>(work: Promise<T>): Promise<T> {
    this.#starting.add(work);
    const forget = (): void => void this.#starting.delete(work);
    work.then(forget, forget);
    return work;
  }

  async #start(spec: ContainerSpec): Promise<Container> {
    const began = performance.now();
    checkSpec(spec, this.#context.mountRules);
    if (spec.ociRuntime !== undefined) this.#context.runtimes.find(spec.ociRuntime);
    const { containers } = this.#context;
    if ([containers, this.#reserved, this.#leftover].some((ids) => ids.has(spec.id))) {
      throw new HearthError('Conflict', `container "${spec.id}" exists already`);
    }
    this.#reserved.add(spec.id);
    const made: Made = {};
    try {
      made.unfilled = await this.#context.volumes.hold(spec.id, spec);
      made.network = await this.#context.network.acquire(spec);
      failpoint('start.after-network');
      made.blank = await this.#takeBlank(spec);
      failpoint('start.after-blank');
      const queued = performance.now();
      made.container = this.#prepare(spec, made.blank, made.network);
      if (isOnDisk(spec)) await makeDiskImage(made.container.parts.folder.disk, spec);
      failpoint('start.after-disk');
      await this.#launch(made.container, made.blank, made.unfilled);
      const queueMs = queued - began;
      made.container.timings = { queueMs, spawnMs: performance.now() - queued };
      return made.container;
    } catch (error) {
      await this.#undo(spec, made);
      if (!(error instanceof StartRefused)) throw hostError(error);
      throw startError(error.failure, spec.argv, spec);
    } finally {
      this.#reserved.delete(spec.id);
      this.#refillSoon();
    }
  }

  /** What was made ahead is made again after whoever waits for this start has heard of its program. */
  #refillSoon(): void {
    this.#refill ??= setTimeout(() => {
      this.#refill = undefined;
      this.#context.blanks.fill();
      this.#context.folders.fill();
      this.#context.network.fill();
    }, REFILL_MS);
  }

  /** Writes down what will be made, then makes it: an end in between leaves nothing unknown. */
  #prepare(
    spec: ContainerSpec,
    blank: ReadyBlank,
    network: NetworkSlot | undefined,
  ): LiveContainer {
    const { cgroup, uidSlot } = blank;
    const folder = new ContainerFolder(this.#context.containersDir, spec.id);
    this.#context.folders.place(folder);
    failpoint('start.after-folder');
    folder.writeState(stateOf({ spec, uidSlot, cgroup, network }));
    failpoint('start.after-state');
    if (spec.upperDir !== undefined) {
      mkdirSync(spec.upperDir, { recursive: true, mode: 0o755 });
      mkdirSync(workDir(spec.upperDir), { mode: 0o700 });
    }
    failpoint('start.after-upper');
    if (spec.listenPath !== undefined) rmSync(spec.listenPath, { force: true });
    const owner = blank.uidBase + spec.user.uid;
    // The program may open its streams again by /dev/stdout
    for (const path of [folder.stdout, folder.stderr]) chownSync(path, owner, owner);
    if (spec.statusPipe === true) chownSync(folder.status, owner, owner);
    failpoint('start.after-fifos');
    this.#context.cgroups.limit(cgroup, startingResources(spec));
    failpoint('start.after-limits');
    const container = new LiveContainer({
      spec,
      uidSlot,
      uidBase: blank.uidBase,
      folder,
      cgroup,
      exits: this.#context.exits,
      runtimes: this.#context.runtimes,
      ...(network === undefined ? {} : { network }),
      log: this.#context.log,
      emit: emitterOf(spec, this.#context.onEvent),
      launcher: this.#context.launcher,
      onRemoved: () => this.#context.forget(spec.id, uidSlot, network),
    });
    // Before the launch: the report of a quick end may come with the report of the start
    this.#context.containers.set(spec.id, container);
    container.parts.emit('create');
    return container;
  }

  async #launch(
    container: LiveContainer,
    blank: ReadyBlank,
    unfilled: ReadonlySet<string>,
  ): Promise<void> {
    const { spec, folder, cgroup, network } = container.parts;
    const plan = planStart(withNameServer(spec, network), {
      uidBase: blank.uidBase,
      mounts: planMounts(spec, { ...this.#context.mountRules, unfilled }),
      stdout: folder.stdout,
      stderr: folder.stderr,
      ...(isOnDisk(spec) ? { disk: folder.disk } : {}),
      ...(spec.statusPipe === true ? { status: folder.status } : {}),
      ...(network === undefined ? {} : { netns: netnsPath(network) }),
    });
    if (spec.ociRuntime !== undefined) return this.#launchByRuntime(container, plan);
    // A child that hangs ends by its cgroup, and its outcome pipe says that it did
    const timer = setTimeout(() => void cgroup.kill().catch(() => {}), START_MS);
    try {
      const launched = (await this.#context.launcher()).start(blank, plan);
      launched.catch(() => {});
      // While the child is on its way
      container.listen();
      const { process: expected } = blank;
      if (expected !== undefined) {
        container.expects(expected);
        folder.writeState({ ...stateOf(container.parts), process: expected });
      }
      const process = await launched;
      failpoint('start.after-launch');
      container.started(process);
      this.#context.volumes.used(spec.id);
      failpoint('start.after-process');
    } finally {
      clearTimeout(timer);
    }
  }

  /** Another OCI runtime isolates it, and ends; the container is the launcher's child all the same. */
  async #launchByRuntime(container: LiveContainer, start: StartPlan): Promise<void> {
    const { spec, folder, cgroup } = container.parts;
    const { cgroups, launcher, runtimes } = this.#context;
    const cgroupViews = cgroups.views(cgroup.name);
    const prepared = { start, cgroup: cgroup.name, cgroupViews, folder: folder.path };
    const client = await launcher();
    const late = { message: `it took longer than ${START_MS / 1000} s` };
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      client.abortRuntime(spec.id).catch(() => {});
    }, START_MS);
    container.listen();
    try {
      const process = await client.runtime(runtimes.plan(spec, prepared));
      // A runtime sets what it was told of, and needs more processes than some programs may have
      cgroups.limit(cgroup, spec.resources);
      failpoint('start.after-launch');
      container.started(process);
      this.#context.volumes.used(spec.id);
      folder.writeState({ ...stateOf(container.parts), process });
      failpoint('start.after-process');
    } catch (error) {
      const isRuntimes = error instanceof StartRefused && error.failure.step === 'runtime';
      if (!isRuntimes) throw error;
      throw runtimes.error({ ...error.failure, ...(isLate ? late : {}) }, spec, folder.path);
    } finally {
      clearTimeout(timer);
    }
  }

  async #takeBlank(spec: ContainerSpec): Promise<ReadyBlank> {
    const { blanks } = this.#context;
    return spec.ociRuntime === undefined ? blanks.take() : blanks.takeBare();
  }

  /** Takes back a failed start; the start's own error is the one that counts. */
  async #undo(spec: ContainerSpec, made: Made): Promise<void> {
    const { blank, container, network } = made;
    if (blank === undefined) {
      if (network !== undefined) void this.#context.network.release(network);
      this.#context.volumes.release(spec.id);
      return;
    }
    this.#leftover.add(spec.id);
    container?.detach();
    blank.pipe?.close();
    const takeBack = async (): Promise<void> => {
      const { cgroup } = blank;
      await cgroup.kill();
      failpoint('undo.after-kill');
      const folder = new ContainerFolder(this.#context.containersDir, spec.id);
      const { exits, runtimes } = this.#context;
      await removeParts({ spec, cgroup, exits, runtimes, folder });
      failpoint('undo.after-remove');
    };
    const faulted = Promise.withResolvers<void>();
    const done = untilDone(takeBack, (error) => {
      this.#context.log.warn({ container: spec.id, error: String(error) }, 'clean-up failed');
      faulted.resolve();
    }).then(async (isDone) => {
      // A process that may still be there keeps its ids, its address and its volumes
      if (!isDone) return;
      this.#leftover.delete(spec.id);
      await this.#context.forget(spec.id, blank.uidSlot, network);
      container?.parts.emit('destroy');
    });
    this.#track(done);
    // The caller hears why its start failed, also while what is left cannot be removed
    await Promise.race([done, faulted.promise]);
  }
}

/** What a start has taken so far. */
interface Made {
  network?: NetworkSlot | undefined;
  blank?: ReadyBlank;
  /** Volumes that are empty. */
  unfilled?: ReadonlySet<string>;
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
    ...networkState(network),
  };
}
