import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { errnoCode, HearthError } from '../../lib/errors.ts';
import { type CgroupLayout, parseCgroupLayout } from './cgroup-layout.ts';
import {
  type CgroupPlan,
  type CgroupWrite,
  engineFolder,
  parseOomKills,
  planCgroup,
  planEngineCgroup,
  planLimits,
} from './cgroup-plan.ts';
import type { ContainerResources } from './container-spec.ts';

const REMOVE_TRIES = 40;
const REMOVE_WAIT_MS = 5;
const KILL_ROUNDS = 50;
/** Processes may fork while they are moved. */
const EVACUATE_TRIES = 10;
const LEAF = 'init';

/** The layout of this machine. @throws HearthError KernelUnsupported */
export function detectCgroupLayout(): CgroupLayout {
  const mounts = readFileSync('/proc/mounts', 'utf8');
  const v2 = / (\S+) cgroup2 /.exec(mounts)?.[1];
  const controllers = v2 === undefined ? '' : (readIfThere(`${v2}/cgroup.controllers`) ?? '');
  const layout = parseCgroupLayout(mounts, controllers);
  if (layout !== undefined) return layout;
  throw new HearthError('KernelUnsupported', 'no cgroup hierarchy with a memory controller', {
    hint: 'mount cgroup2 on /sys/fs/cgroup',
  });
}

/** The cgroups of one engine: `/hearth/<engine>` in each hierarchy. */
export class EngineCgroups {
  readonly #layout: CgroupLayout;
  readonly #engine: string;

  constructor(layout: CgroupLayout, engine: string) {
    this.#layout = layout;
    this.#engine = engine;
    for (const { path, writes } of planEngineCgroup(layout, engine)) {
      makeFolder(path);
      for (const write of writes) writeControl(path, write);
    }
  }

  /** Makes the cgroups of this name, without limits. */
  create(name: string): ContainerCgroup {
    const cgroup = this.open(name);
    for (const path of cgroup.folders) makeFolder(path);
    return cgroup;
  }

  /** The cgroups that `create` made, now or in an earlier process. */
  open(name: string): ContainerCgroup {
    return new ContainerCgroup(name, planCgroup(this.#layout, this.#engine, name));
  }

  /** Sets the limits of a container. */
  limit(cgroup: ContainerCgroup, resources: ContainerResources): void {
    const container = { engine: this.#engine, name: cgroup.name, resources };
    for (const write of planLimits(this.#layout, container)) writeFile(write);
  }

  /** Names of all that exist in any hierarchy. */
  names(): Set<string> {
    const found = new Set<string>();
    for (const root of this.#roots()) {
      for (const entry of listFolders(engineFolder(root, this.#engine))) found.add(entry);
    }
    return found;
  }

  /** Removes the engine's own folders; `/hearth` too if no other engine is there. */
  removeAll(): void {
    for (const root of this.#roots()) {
      for (const path of [engineFolder(root, this.#engine), `${root}/hearth`]) {
        try {
          rmdirSync(path);
        } catch {
          // Another engine's, or containers that were told to stay
        }
      }
    }
  }

  #roots(): string[] {
    const { v1, v2 } = this.#layout;
    return [...Object.values(v1), ...(v2 === undefined ? [] : [v2])];
  }
}

/** The cgroups of one container. */
export class ContainerCgroup {
  readonly name: string;
  readonly #plan: CgroupPlan;

  constructor(name: string, plan: CgroupPlan) {
    this.name = name;
    this.#plan = plan;
  }

  /** Folders to join. */
  get folders(): readonly string[] {
    return this.#plan.folders;
  }

  /** Sends SIGKILL to every process in it, those forked meanwhile too. */
  async kill(): Promise<void> {
    if (this.#plan.killFile !== undefined) {
      try {
        return writeFileSync(this.#plan.killFile, '1');
      } catch (error) {
        if (errnoCode(error) !== 'ENOENT') throw error;
      }
    }
    await this.#killFrozen();
  }

  /** Process ids in it. */
  processes(): number[] {
    const found = new Set<number>();
    for (const path of this.#plan.folders) {
      for (const pid of (readIfThere(`${path}/cgroup.procs`) ?? '').split('\n')) {
        if (pid !== '') found.add(Number(pid));
      }
    }
    return [...found];
  }

  /** Times the kernel killed something in it for want of memory. */
  oomKills(): number {
    return parseOomKills(readIfThere(this.#plan.memory.events) ?? '');
  }

  /** Bytes in use, and the most there were (0 where the kernel does not keep it). */
  memory(): { currentBytes: number; peakBytes: number } {
    return {
      currentBytes: Number(readIfThere(this.#plan.memory.current) ?? 0),
      peakBytes: Number(readIfThere(this.#plan.memory.peak) ?? 0),
    };
  }

  /** Removes the folders; the kernel says EBUSY until the last process is reaped. */
  async remove(): Promise<void> {
    for (const path of this.#plan.folders) await removeFolder(path);
  }

  async #killFrozen(): Promise<void> {
    const state =
      this.#plan.freezer === undefined ? undefined : `${this.#plan.freezer}/freezer.state`;
    for (let round = 0; round < KILL_ROUNDS; round++) {
      writeIfThere(state, 'FROZEN');
      const pids = this.processes();
      for (const pid of pids) killIfThere(pid);
      writeIfThere(state, 'THAWED');
      if (pids.length === 0) return;
      await sleep(REMOVE_WAIT_MS);
    }
  }
}

function makeFolder(path: string): void {
  try {
    mkdirSync(path);
  } catch (error) {
    if (errnoCode(error) !== 'EEXIST') throw unsupported(path, error);
  }
}

function writeFile({ path, value, optional }: CgroupWrite): void {
  try {
    writeFileSync(path, value);
  } catch (error) {
    if (optional !== true) throw unsupported(path, error);
  }
}

/**
 * Inside a container the v2 tree begins at the container's own cgroup, and processes live in it: the
 * kernel then refuses to hand controllers down (EBUSY, "no internal process constraint" of
 * cgroup-v2.rst). They move into a leaf beside the engine's folder.
 */
function writeControl(folder: string, write: CgroupWrite): void {
  for (let tries = 1; ; tries++) {
    try {
      writeFileSync(write.path, write.value);
      return;
    } catch (error) {
      if (errnoCode(error) !== 'EBUSY' || tries >= EVACUATE_TRIES) {
        throw unsupported(folder, error);
      }
      moveProcesses(folder, `${folder}/${LEAF}`);
    }
  }
}

function moveProcesses(from: string, to: string): void {
  makeFolder(to);
  const pids = readFileSync(`${from}/cgroup.procs`, 'utf8').split('\n');
  // One of another pid namespace is shown as 0, which would mean this process
  for (const pid of pids.filter((text) => text !== '' && text !== '0')) {
    writeIfThere(`${to}/cgroup.procs`, pid);
  }
}

function unsupported(path: string, cause: unknown): HearthError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new HearthError('KernelUnsupported', `cannot set up cgroup ${path}: ${reason}`, { cause });
}

async function removeFolder(path: string): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return rmdirSync(path);
    } catch (error) {
      if (errnoCode(error) === 'ENOENT') return;
      if (errnoCode(error) !== 'EBUSY' || tries >= REMOVE_TRIES) throw error;
    }
    await sleep(REMOVE_WAIT_MS * Math.min(tries, 10));
  }
}

function listFolders(path: string): string[] {
  try {
    const entries = readdirSync(path, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  } catch {
    return [];
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function writeIfThere(path: string | undefined, text: string): void {
  if (path === undefined) return;
  try {
    writeFileSync(path, text);
  } catch {
    // The folder went with its last process, or the process ended
  }
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself
  }
}
