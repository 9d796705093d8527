import { rmdirSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { errnoCode, HearthError } from '../../../lib/errors.ts';
import {
  type CgroupTexts,
  parseCacheBytes,
  parseForksRefused,
  parseNumber,
  parseOomKills,
} from './cgroup-counters.ts';
import { readIfThere, writeIfThere } from './cgroup-file.ts';
import { Freezer } from './cgroup-freezer.ts';
import type { CgroupPlan } from './cgroup-plan.ts';

const REMOVE_TRIES = 40;
const REMOVE_WAIT_MS = 5;
const KILL_ROUNDS = 50;
const KILL_HOLD_MS = 200;
/**
 * Page cache for which a dead v1 cgroup may stay until memory is short: the next start reads it. What
 * dead ones cost is thus far below what they cache.
 */
const KEPT_CACHE_BYTES = 4 * 1024 * 1024;

/** The cgroups of one container. */
export class ContainerCgroup {
  readonly name: string;
  readonly #plan: CgroupPlan;
  readonly #freezer: Freezer | undefined;

  constructor(name: string, plan: CgroupPlan) {
    this.name = name;
    this.#plan = plan;
    this.#freezer = plan.freezer === undefined ? undefined : new Freezer(plan.freezer);
  }

  /** Folders to join. */
  get folders(): readonly string[] {
    return this.#plan.folders;
  }

  /** Sends SIGKILL to every process in it, frozen ones and those forked meanwhile too. */
  async kill(): Promise<void> {
    if (this.#plan.killFile !== undefined && writeIfThere(this.#plan.killFile, '1')) return;
    await this.#killOneByOne();
  }

  /** Holds every process. @throws HearthError Conflict, KernelUnsupported */
  async freeze(): Promise<void> {
    if (this.#freezer === undefined) {
      throw new HearthError('KernelUnsupported', 'this machine cannot pause a container', {
        hint: 'mount cgroup2, or the freezer controller of cgroup v1',
      });
    }
    await this.#freezer.freeze();
  }

  /** Lets them run again. */
  thaw(): void {
    this.#freezer?.thaw();
  }

  /** As the kernel says. */
  get frozen(): boolean {
    return this.#freezer?.isFrozen() ?? false;
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
    return parseOomKills(readIfThere(this.#plan.files.memoryEvents) ?? '');
  }

  /** Times a fork in it was refused for its limit. */
  forksRefused(): number {
    return parseForksRefused(readIfThere(this.#plan.files.pidsEvents) ?? '');
  }

  /** Bytes in use, and the most there were (0 where the kernel does not keep it). */
  memory(): { currentBytes: number; peakBytes: number } {
    return {
      currentBytes: parseNumber(readIfThere(this.#plan.files.memoryCurrent) ?? ''),
      peakBytes: parseNumber(readIfThere(this.#plan.files.memoryPeak) ?? ''),
    };
  }

  /** All counters, as texts. Off the event loop: the kernel adds up those of every cpu. */
  async texts(): Promise<CgroupTexts> {
    const { files } = this.#plan;
    const read = (path: string): Promise<string> => readFile(path, 'utf8').catch(() => '');
    const [memoryCurrent, memoryPeak, memoryStat, memoryEvents, pidsCurrent, cpuThrottle] =
      await Promise.all(
        [
          files.memoryCurrent,
          files.memoryPeak,
          files.memoryStat,
          files.memoryEvents,
          files.pidsCurrent,
          files.cpuThrottle,
        ].map(read),
      );
    return {
      memoryCurrent: memoryCurrent ?? '',
      memoryPeak: memoryPeak ?? '',
      memoryStat: memoryStat ?? '',
      memoryEvents: memoryEvents ?? '',
      pidsCurrent: pidsCurrent ?? '',
      cpuThrottle: cpuThrottle ?? '',
      cpuUsage: await Promise.all(files.cpuUsage.map(read)),
    };
  }

  /** Removes the folders; the kernel says EBUSY until the last process is reaped. */
  async remove(): Promise<void> {
    await this.#empty();
    for (const path of this.#plan.folders) await removeFolder(path);
  }

  /** A v1 memory cgroup lives on in the kernel while a page is charged to it. */
  async #empty(): Promise<void> {
    const { emptyFile, files } = this.#plan;
    if (emptyFile === undefined) return;
    const stat = await readFile(files.memoryStat, 'utf8').catch(() => '');
    if (parseCacheBytes(stat) >= KEPT_CACHE_BYTES) return;
    // Reclaims, and waits for every cpu meanwhile
    await writeFile(emptyFile, '0').catch(() => {});
  }

  /** Without a kill switch: nothing forks and nothing runs while each is told to end. */
  async #killOneByOne(): Promise<void> {
    if (this.#plan.forkLimit !== undefined) writeIfThere(this.#plan.forkLimit, '0');
    for (let round = 0; round < KILL_ROUNDS; round++) {
      // What stands still keeps its process id
      await this.#freezer?.hold(KILL_HOLD_MS);
      const pids = this.processes();
      for (const pid of pids) killIfThere(pid);
      this.thaw();
      if (pids.length === 0) return;
      await sleep(REMOVE_WAIT_MS);
    }
  }
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

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself
  }
}
