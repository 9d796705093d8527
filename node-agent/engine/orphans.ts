import { setTimeout as sleep } from 'node:timers/promises';
import { PR_SET_CHILD_SUBREAPER, WNOHANG } from './kernel/linux-constants.ts';
import { syscalls } from './kernel/syscalls.ts';

const LOOK_MS = 20;
const LOOKS_MAX = 250;

/**
 * Makes this process the parent of what a killed launcher leaves (prctl(2)): else that is PID 1, which in a
 * container often waits for nobody, and a pid namespace ends only when all of its processes were waited for.
 */
export function takeOrphans(): void {
  syscalls.prctl(PR_SET_CHILD_SUBREAPER, 1);
}

/** Waits for the end of a process that a killed launcher left, if it is this one's child by now. */
export async function reapOrphan(pid: number): Promise<void> {
  for (let looks = 0; looks < LOOKS_MAX; looks++) {
    try {
      if (syscalls.wait4(pid, WNOHANG).pid !== 0) return;
    } catch {
      // ECHILD: another one's, who waits for it
      return;
    }
    await sleep(LOOK_MS, undefined, { ref: false });
  }
}
