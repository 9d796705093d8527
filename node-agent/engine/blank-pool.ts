import { randomBytes } from 'node:crypto';
import { HearthError } from '../../lib/errors.ts';
import { LIMITS } from '../../lib/limits.ts';
import type { Log } from '../../lib/telemetry/log.ts';
import type { EngineCgroups } from './cgroup/cgroup.ts';
import type { ContainerCgroup } from './cgroup/container-cgroup.ts';
import type { ExitFiles } from './exit-files.ts';
import { failpoint } from './failpoints.ts';
import type { ContainerProcess } from './launcher/messages.ts';
import { UIDS_PER_CONTAINER } from './launcher/user-namespaces.ts';
import type { LauncherClient } from './launcher-client.ts';
import { reapOrphan } from './orphans.ts';
import { untilDone } from './persistent.ts';
import type { PlanPipe } from './plan-pipe.ts';
import type { Slots } from './slots.ts';

const BLANK_MS = 15_000;

/** A process that waits in its own namespaces and cgroups to become a container. */
export interface ReadyBlank {
  /** Also the name of its cgroups: unlike any other's, of earlier processes too. */
  name: string;
  uidSlot: number;
  /** First host uid of its range. */
  uidBase: number;
  cgroup: ContainerCgroup;
  /** What the container will be; absent for one without a process yet. */
  process?: ContainerProcess;
  /** Takes its plan. Who takes the blank closes it. */
  pipe?: PlanPipe | undefined;
}

export interface BlankPoolOptions {
  cgroups: EngineCgroups;
  exits: ExitFiles;
  uidSlots: Slots;
  uidBase: number;
  stagingDir: string;
  /** Blanks kept ready. */
  ready: number;
  launcher: () => Promise<LauncherClient>;
  log: Log;
}

/**
 * Blanks made ahead. A fork, joining cgroups and the mounts that no image changes take 10 to 20 ms
 * together; a start that finds a blank waits for none of them.
 */
export class BlankPool {
  readonly #options: BlankPoolOptions;
  #ready: ReadyBlank[] = [];
  /** Names of all that are being made, wait, or are being thrown away. */
  readonly #names = new Set<string>();
  #making = 0;
  #closed = false;
  readonly #busy = new Set<Promise<unknown>>();

  constructor(options: BlankPoolOptions) {
    this.#options = options;
  }

  /** A blank of the caller's own, made now if none waits. @throws HearthError NodeFull */
  async take(): Promise<ReadyBlank> {
    const blank = this.#ready.shift() ?? (await this.#track(this.#make()));
    this.#names.delete(blank.name);
    return blank;
  }

  /**
   * Uids and cgroups of the caller's own, without a process: another OCI runtime makes one.
   * @throws HearthError NodeFull
   */
  takeBare(): ReadyBlank {
    const bare = this.#reserve();
    this.#options.cgroups.create(bare.name);
    this.#names.delete(bare.name);
    return bare;
  }

  owns(name: string): boolean {
    return this.#names.has(name);
  }

  /** Makes blanks until enough wait. Call it when nobody waits for the launcher. */
  fill(): void {
    while (!this.#closed && this.#ready.length + this.#making < this.#options.ready) {
      this.#making += 1;
      const made = this.#track(this.#make());
      made
        .then((blank) => this.#keep(blank))
        .catch((error) => this.#options.log.warn({ error: String(error) }, 'blank failed'))
        .finally(() => {
          this.#making -= 1;
        });
    }
  }

  /** One ended by itself. */
  lost(name: string): void {
    const blank = this.#ready.find((one) => one.name === name);
    if (blank === undefined) return;
    this.#ready = this.#ready.filter((one) => one !== blank);
    this.#discard(blank);
  }

  /** The launcher ended, and with it every blank. */
  reset(): void {
    for (const blank of this.#ready.splice(0)) this.#discard(blank);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.reset();
    while (this.#busy.size > 0) {
      await Promise.allSettled(this.#busy);
      this.reset();
    }
  }

  #keep(blank: ReadyBlank): void {
    this.#options.cgroups.limitAhead(blank.cgroup);
    this.#ready.push(blank);
    if (this.#closed) this.reset();
  }

  async #make(): Promise<ReadyBlank> {
    const { cgroups, exits, launcher, stagingDir } = this.#options;
    const blank = this.#reserve();
    const { cgroup, name } = blank;
    // One that hangs ends by its cgroup, and the launcher sees that it did
    const timer = setTimeout(() => void cgroup.kill().catch(() => {}), BLANK_MS);
    try {
      cgroups.create(name);
      failpoint('blank.after-cgroup');
      const plan = {
        name,
        stagingDir,
        uidBase: blank.uidBase,
        exitFile: exits.path(name),
        cgroups: cgroup.folders,
        cgroupViews: cgroups.views(name),
      };
      const { pipe, process } = await (await launcher()).blank(plan);
      Object.assign(blank, { pipe, process });
      failpoint('blank.after-fork');
      return blank;
    } catch (error) {
      this.#discard(blank);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  #reserve(): ReadyBlank {
    const { cgroups, uidBase, uidSlots } = this.#options;
    const uidSlot = uidSlots.take();
    if (uidSlot === undefined) {
      const most = LIMITS.agentInstancesMax;
      throw new HearthError('NodeFull', `all ${most} containers of this engine are in use`);
    }
    const name = `b-${randomBytes(8).toString('hex')}`;
    this.#names.add(name);
    const cgroup = cgroups.open(name);
    return { name, uidSlot, uidBase: uidBase + uidSlot * UIDS_PER_CONTAINER, cgroup };
  }

  #discard(blank: ReadyBlank): void {
    const remove = (): Promise<void> => this.#remove(blank);
    const gone = untilDone(remove, (error: unknown) => {
      this.#options.log.warn({ blank: blank.name, error: String(error) }, 'blank clean-up failed');
    });
    void this.#track(gone);
  }

  async #remove(blank: ReadyBlank): Promise<void> {
    blank.pipe?.close();
    await blank.cgroup.kill();
    if (blank.process?.init !== undefined) void reapOrphan(blank.process.init.pid);
    failpoint('blank.remove.after-kill');
    await blank.cgroup.remove();
    this.#options.exits.remove(blank.name);
    this.#options.uidSlots.free(blank.uidSlot);
    this.#names.delete(blank.name);
  }

  #track<T>(work: Promise<T>): Promise<T> {
    this.#busy.add(work);
    const done = (): void => void this.#busy.delete(work);
    work.then(done, done);
    return work;
  }
}
