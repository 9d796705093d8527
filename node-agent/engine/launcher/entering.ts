import { O_CLOEXEC, POLLIN, WNOHANG } from '../kernel/linux-constants.ts';
import { isSameProcess, processStartTime } from '../kernel/process-identity.ts';
import { SyscallError, type Syscalls } from '../kernel/syscall-types.ts';
import type { LauncherContext } from './blank.ts';
import type { Children, Sources } from './children.ts';
import { liveEntered } from './enter.ts';
import type { EnterPlan } from './enter-messages.ts';
import type { Report, StartFailure } from './messages.ts';
import { parseOutcome, RefusedStep, readyPid } from './outcome.ts';

const READ_BYTES = 65_536;
const SIGKILL = 9;
const KILL_WAIT_MS = 5;
const KILL_WAITS_MAX = 200;

/** A process that was forked to enter a container. */
interface Entering {
  id: string;
  seq: number;
  kind: EnterPlan['work']['kind'];
  /** The process forked here; for a program, it forks another one and ends. */
  first: number;
  /** Undefined once it has been waited for, or when somebody else will. */
  firstPidfd: number | undefined;
  outcomeFd: number;
  goFd: number | undefined;
  said: Buffer[];
  /** The process that will be, or is, the program. */
  program?: number;
}

/** What it shares with the launcher's loop. */
export interface EnteringLoop {
  sources: Sources;
  children: Children;
  report: (report: Report) => void;
}

/** Processes that the launcher sends into running containers, from their fork to their end. */
export class EnteredProcesses {
  readonly #context: LauncherContext;
  readonly #loop: EnteringLoop;
  readonly #entering = new Map<string, Entering>();
  /** Those that do their work, by pid: children of the launcher that it has not waited for. */
  readonly #inside = new Set<number>();
  readonly #chunk = Buffer.alloc(READ_BYTES);

  constructor(context: LauncherContext, loop: EnteringLoop) {
    this.#context = context;
    this.#loop = loop;
  }

  /** Forks one; its report is `started` or `failed`, and `left` when it has ended. */
  enter(seq: number, plan: EnterPlan): void {
    const { sys } = this.#context;
    const pidfd = openTarget(sys, plan);
    const outcome = sys.pipe2(O_CLOEXEC);
    const go = sys.pipe2(O_CLOEXEC);
    try {
      const first = sys.fork();
      if (first === 0) {
        liveEntered(this.#context, plan, { pidfd, outcomeFd: outcome.write, goFd: go.read });
      }
      this.#add({
        id: plan.id,
        seq,
        kind: plan.work.kind,
        first,
        firstPidfd: sys.pidfdOpen(first),
        outcomeFd: outcome.read,
        goFd: go.write,
        said: [],
      });
    } catch (error) {
      sys.close(outcome.read);
      sys.close(go.write);
      throw error;
    } finally {
      for (const fd of [pidfd, outcome.write, go.read]) sys.close(fd);
    }
  }

  /** Ends one that is still on its way; its report is then `failed`. */
  cancel(id: string): void {
    const entering = this.#entering.get(id);
    if (entering === undefined) return;
    const { first, firstPidfd, program } = entering;
    // What has not been waited for keeps its pid
    if (firstPidfd !== undefined) this.#kill(first);
    if (program !== undefined) this.#kill(program);
  }

  /**
   * Ends all, as nobody hears them any more when the engine has gone. Waits for them a while: one
   * that nobody waited for would hold up the end of its container.
   */
  killAll(): void {
    const pids = new Set(this.#inside);
    for (const { first, firstPidfd, program } of this.#entering.values()) {
      if (firstPidfd !== undefined) pids.add(first);
      if (program !== undefined) pids.add(program);
    }
    for (const pid of pids) this.#kill(pid);
    for (let n = 0; n < KILL_WAITS_MAX && pids.size > 0; n++) {
      for (const pid of pids) if (this.#context.sys.wait4(pid, WNOHANG).pid !== 0) pids.delete(pid);
      if (pids.size > 0) this.#context.sys.poll([], KILL_WAIT_MS);
    }
  }

  #add(entering: Entering): void {
    const { firstPidfd, kind, outcomeFd } = entering;
    this.#entering.set(entering.id, entering);
    this.#loop.sources.set(outcomeFd, () => this.#hear(entering));
    if (kind === 'files' || firstPidfd === undefined) return;
    this.#loop.sources.set(firstPidfd, () => {
      this.#reapFirst(entering);
      // One that it forked, but was killed before it could name it, ends for want of the word
      if (entering.program === undefined) this.#closeGo(entering);
    });
  }

  #hear(entering: Entering): void {
    const { sys } = this.#context;
    if (this.#hearWord(entering)) return;
    this.#loop.sources.delete(entering.outcomeFd);
    sys.close(entering.outcomeFd);
    this.#closeGo(entering);
    this.#entering.delete(entering.id);
    this.#settle(entering, parseOutcome(Buffer.concat(entering.said)));
  }

  /** False at the end. */
  #hearWord(entering: Entering): boolean {
    const length = this.#context.sys.read(entering.outcomeFd, this.#chunk);
    if (length === 0) return false;
    const word = Buffer.from(this.#chunk.subarray(0, length));
    entering.said.push(word);
    const pid = readyPid(word.toString());
    if (pid !== undefined) this.#letGo(entering, pid);
    return true;
  }

  /** Its end can be waited for from now on, so it may begin. */
  #letGo(entering: Entering, pid: number): void {
    entering.program = pid;
    if (entering.goFd === undefined) return;
    try {
      this.#context.sys.write(entering.goFd, Buffer.from('g'));
    } catch {
      // It was killed meanwhile: its outcome ends
    }
  }

  #closeGo(entering: Entering): void {
    if (entering.goFd !== undefined) this.#context.sys.close(entering.goFd);
    entering.goFd = undefined;
  }

  /** The outcome pipe has ended: the work is being done, or all that was forked has ended. */
  #settle(entering: Entering, failure: StartFailure | undefined): void {
    const { sys } = this.#context;
    const { first, kind, program, seq } = entering;
    const pid = kind === 'files' ? first : program;
    if (kind === 'program' || failure !== undefined) this.#reapFirst(entering);
    if (failure === undefined && pid !== undefined) {
      const pidfd = entering.firstPidfd ?? sys.pidfdOpen(pid);
      this.#watch(entering, { pid, pidfd });
      return;
    }
    this.#reapForked(entering);
    if (failure !== undefined) this.#loop.report({ type: 'failed', seq, failure });
  }

  #watch(entering: Entering, child: { pid: number; pidfd: number }): void {
    const { pid } = child;
    this.#inside.add(pid);
    const startTime = processStartTime(pid);
    this.#loop.report({ type: 'entered', seq: entering.seq, pid, startTime });
    this.#loop.children.add(child, (status) => {
      this.#inside.delete(pid);
      this.#loop.report({ type: 'left', id: entering.id, status });
    });
  }

  /** It ended, or is about to: nothing of it is left that could take its time. */
  #reapFirst(entering: Entering): void {
    const { sys } = this.#context;
    const { first, firstPidfd } = entering;
    if (firstPidfd === undefined) return;
    entering.firstPidfd = undefined;
    this.#loop.sources.delete(firstPidfd);
    sys.close(firstPidfd);
    sys.wait4(first, 0);
    // Its last word may wait behind its end
    if (
      entering.goFd !== undefined &&
      sys.poll([{ fd: entering.outcomeFd, events: POLLIN }], 0).length > 0
    ) {
      this.#hearWord(entering);
    }
  }

  /** The one that it forked; without a name it is the only one left in the first one's group. */
  #reapForked(entering: Entering): void {
    try {
      this.#context.sys.wait4(entering.program ?? -entering.first, 0);
    } catch (error) {
      if (!(error instanceof SyscallError) || error.code !== 'ECHILD') throw error;
    }
  }

  #kill(pid: number): void {
    try {
      this.#context.sys.kill(pid, SIGKILL);
    } catch {
      // It has ended, and is waited for soon
    }
  }
}

/** A pidfd of the container's program. */
function openTarget(sys: Syscalls, plan: EnterPlan): number {
  const { pid, startTime } = plan.target;
  const pidfd = sys.pidfdOpen(pid);
  if (isSameProcess(pid, startTime)) return pidfd;
  sys.close(pidfd);
  const message = 'the container has ended';
  throw new RefusedStep({ step: 'enter namespaces', errno: 'ESRCH', message });
}
