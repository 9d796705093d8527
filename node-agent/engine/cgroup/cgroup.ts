import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { errnoCode, HearthError } from '../../../lib/errors.ts';
import type { ContainerResources } from '../container-spec.ts';
import type { CgroupView } from '../launcher/messages.ts';
import { readIfThere, writeIfThere } from './cgroup-file.ts';
import { type CgroupLayout, hierarchies, parseCgroupLayout } from './cgroup-layout.ts';
import { type CgroupWrite, changedWrites, planLimits } from './cgroup-limits.ts';
import { containerFolder, engineFolder, planCgroup, planEngineCgroup } from './cgroup-plan.ts';
import { planCgroupViews } from './cgroup-views.ts';
import { ContainerCgroup } from './container-cgroup.ts';

/** Processes may fork while they are moved. */
const EVACUATE_TRIES = 10;
const LEAF = 'init';

export type { ContainerCgroup } from './container-cgroup.ts';

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
  /** What was written to each before its container asked for it, by path. */
  readonly #ahead = new WeakMap<ContainerCgroup, Map<string, string>>();
  #latest: ContainerResources | undefined;

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
    const written = this.#ahead.get(cgroup) ?? new Map();
    // Once only: what is written there later is not known here
    this.#ahead.delete(cgroup);
    for (const write of changedWrites(this.#limits(cgroup, resources), written)) writeFile(write);
    this.#latest = resources;
  }

  /**
   * Gives a cgroup that waits for its container the limits of the one before: most ask for the same,
   * and a start then writes nothing.
   */
  limitAhead(cgroup: ContainerCgroup): void {
    if (this.#latest === undefined) return;
    // One without a weight of its own would keep the other's
    const { cpuWeight: _, ...resources } = this.#latest;
    const written = new Map<string, string>();
    this.#ahead.set(cgroup, written);
    for (const write of this.#limits(cgroup, resources)) {
      try {
        writeFileSync(write.path, write.value);
        written.set(write.path, write.value);
      } catch {
        // The start writes it again, and hears why not
      }
    }
  }

  #limits(cgroup: ContainerCgroup, resources: ContainerResources): CgroupWrite[] {
    return planLimits(this.#layout, containerFolder(this.#engine, cgroup.name), resources);
  }

  /** What a container sees of the cgroups of this name. */
  views(name: string): CgroupView[] {
    return planCgroupViews(this.#layout, this.#engine, name);
  }

  /** Names of all that exist in any hierarchy. */
  names(): Set<string> {
    const found = new Set<string>();
    for (const root of hierarchies(this.#layout)) {
      for (const entry of listFolders(engineFolder(root, this.#engine))) found.add(entry);
    }
    return found;
  }

  /** Removes the engine's own folders; `/hearth` too if no other engine is there. */
  removeAll(): void {
    for (const root of hierarchies(this.#layout)) {
      for (const path of [engineFolder(root, this.#engine), `${root}/hearth`]) {
        try {
          rmdirSync(path);
        } catch {
          // Another engine's, or containers that were told to stay
        }
      }
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

function listFolders(path: string): string[] {
  try {
    const entries = readdirSync(path, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  } catch {
    return [];
  }
}
