import { closeSync, constants, fstatSync, openSync, writeSync } from 'node:fs';
import { encodeFrame } from './launcher/frames.ts';
import type { PlanDoor, StartPlan } from './launcher/messages.ts';

/** What a pipe holds while nobody reads: pipe(7). */
const PIPE_BYTES = 64 * 1024;

/**
 * The pipe on which a blank waits for its plan. The launcher keeps one end, so that its own end is the
 * blank's; this is the engine's, by which a plan takes no way through the launcher's loop.
 */
export class PlanPipe {
  #fd: number | undefined;
  readonly #loopback: string | undefined;

  private constructor(fd: number, loopback: string | undefined) {
    this.#fd = fd;
    this.#loopback = loopback;
  }

  /** Undefined when the blank has ended: the descriptor may be another's by now. */
  static open(launcherPid: number, door: PlanDoor): PlanPipe | undefined {
    let fd: number;
    try {
      const path = `/proc/${launcherPid}/fd/${door.fd}`;
      fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
    } catch {
      return undefined;
    }
    if (fstatSync(fd).ino === door.inode) return new PlanPipe(fd, door.loopback);
    closeSync(fd);
    return undefined;
  }

  /**
   * Gives the blank its plan, once; answers whether it enters the loopback that waits for it, and
   * undefined if the launcher has to pass the plan on, or to say that the blank has ended.
   */
  give(plan: StartPlan): { loopback: boolean } | undefined {
    const netns = plan.netns ?? this.#loopback;
    const frame = encodeFrame(netns === undefined ? plan : { ...plan, netns });
    if (this.#fd === undefined || frame.length > PIPE_BYTES) return undefined;
    let written: number;
    try {
      written = writeSync(this.#fd, frame);
    } catch {
      return undefined;
    }
    if (written < frame.length) throw new Error(`a plan was cut off after ${written} bytes`);
    return { loopback: plan.netns === undefined && netns !== undefined };
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}
