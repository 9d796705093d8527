import { setTimeout as sleep } from 'node:timers/promises';
import { HearthError } from '../../../lib/errors.ts';
import { readIfThere, writeIfThere } from './cgroup-file.ts';
import type { FreezerPlan } from './cgroup-plan.ts';

/** A process may be in the middle of a page fault or a write; longer than this is none of these. */
const FREEZE_MS_MAX = 5_000;
const LOOK_MS_FIRST = 1;
const LOOK_MS_MAX = 20;

/** Holds the processes of one container, those forked meanwhile too. */
export class Freezer {
  readonly #plan: FreezerPlan;

  constructor(plan: FreezerPlan) {
    this.#plan = plan;
  }

  /**
   * Resolves when every process stands still; else nothing is held.
   * @throws HearthError Conflict when one does not stop in time
   */
  async freeze(): Promise<void> {
    if (await this.hold(FREEZE_MS_MAX)) return;
    this.thaw();
    throw new HearthError('Conflict', `a process did not stop within ${FREEZE_MS_MAX} ms`, {
      hint: 'it waits for a device or a file system; try again',
    });
  }

  /** False when something still runs after this time; what stands still stays so. */
  async hold(msMax: number): Promise<boolean> {
    const endMs = performance.now() + msMax;
    for (let pauseMs = LOOK_MS_FIRST; ; pauseMs = Math.min(pauseMs * 2, LOOK_MS_MAX)) {
      // v1 gives up on processes that fork while it looks, and takes them at the next request:
      // Documentation/admin-guide/cgroup-v1/freezer-subsystem.rst
      const isThere = this.#write(true);
      if (this.isFrozen()) return true;
      if (!isThere || performance.now() >= endMs) return false;
      await sleep(pauseMs);
    }
  }

  thaw(): void {
    this.#write(false);
  }

  isFrozen(): boolean {
    const { folder, version } = this.#plan;
    if (version === 'v1') return readIfThere(`${folder}/freezer.state`)?.trim() === 'FROZEN';
    return /^frozen 1$/m.test(readIfThere(`${folder}/cgroup.events`) ?? '');
  }

  #write(freeze: boolean): boolean {
    const { folder, version } = this.#plan;
    if (version === 'v2') return writeIfThere(`${folder}/cgroup.freeze`, freeze ? '1' : '0');
    return writeIfThere(`${folder}/freezer.state`, freeze ? 'FROZEN' : 'THAWED');
  }
}
