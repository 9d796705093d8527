import { failpoint } from '../failpoints.ts';
import { AT_FDCWD, CLONE_NEWNET, O_CLOEXEC, O_RDONLY, POLLIN } from '../kernel/linux-constants.ts';
import {
  isSameProcess,
  type ProcessIdentity,
  processStartTime,
} from '../kernel/process-identity.ts';
import { SyscallError } from '../kernel/syscall-types.ts';
import { type Blank, forkBlank, type LauncherContext } from './blank.ts';
import { Children } from './children.ts';
import { drainOrEnd } from './drain.ts';
import { EnteredProcesses } from './entering.ts';
import { encodeFrame, FrameReader } from './frames.ts';
import { type LoopbackNetwork, LoopbackNetworks } from './loopback-networks.ts';
import type { Report, Request } from './messages.ts';
import { configureNetwork } from './network-namespace.ts';
import { failureOf, parseOutcome, readyPid, saidMore } from './outcome.ts';
import { RuntimeRuns } from './runtime/runtime-runs.ts';

const READ_BYTES = 65_536;

/** A child that has not executed its program yet. */
interface Growing extends Blank {
  name: string;
  pidfd: number;
  said: Buffer[];
  /** The request that waits for its next word. */
  seq: number | undefined;
  /** The process that will be the program; set once it is ready. */
  program?: ProcessIdentity;
  /** Set once it has its plan: the container's id. */
  id?: string;
  /** Network made ahead that waits for it, and that it enters once it has its plan. */
  network?: LoopbackNetwork;
  /** Its outcome pipe has ended. */
  hasEnded?: true;
}

/**
 * Waits, synchronously, for the control stream, outcome pipes and pidfds. A start does not block the
 * loop: the child's way to its program ends with its outcome pipe.
 */
export class LauncherLoop {
  readonly #context: LauncherContext;
  readonly #controlFd: number;
  readonly #frames = new FrameReader();
  /** What to do when a descriptor is ready. */
  readonly #sources = new Map<number, () => void>();
  /** Those of which only the end matters: what is written meanwhile wakes nobody. */
  readonly #ending = new Set<number>();
  readonly #blanks = new Map<string, Growing>();
  readonly #children: Children;
  readonly #networks: LoopbackNetworks;
  readonly #entered: EnteredProcesses;
  readonly #runtimes: RuntimeRuns;
  readonly #chunk = Buffer.alloc(READ_BYTES);

  constructor(context: LauncherContext, controlFd: number) {
    this.#context = context;
    this.#controlFd = controlFd;
    this.#children = new Children(context.sys, this.#sources);
    this.#networks = new LoopbackNetworks(context.sys);
    this.#entered = new EnteredProcesses(context, {
      sources: this.#sources,
      children: this.#children,
      report: (report) => this.#report(report),
    });
    this.#runtimes = new RuntimeRuns(context, this.#sources, this.#children);
    this.#sources.set(controlFd, () => this.#readControl());
  }

  run(): never {
    this.#report({ type: 'ready' });
    for (;;) {
      const sources = [...this.#sources];
      const events = this.#context.sys.poll(
        sources.map(([fd]) => ({ fd, events: this.#ending.has(fd) ? 0 : POLLIN })),
        -1,
      );
      sources.forEach(([fd, ready], n) => {
        if ((events[n] ?? 0) !== 0 && this.#sources.get(fd) === ready) ready();
      });
    }
  }

  #readControl(): void {
    const length = this.#context.sys.read(this.#controlFd, this.#chunk);
    if (length === 0) {
      this.#entered.killAll();
      drainOrEnd(this.#context.sys, this.#controlFd);
    }
    for (const request of this.#frames.push(this.#chunk.subarray(0, length))) {
      this.#handle(request as Request);
    }
  }

  #handle(request: Request): void {
    const { seq } = request;
    try {
      if (request.type === 'blank') this.#addBlank(request);
      else if (request.type === 'start') this.#start(request);
      else if (request.type === 'planned') this.#begin(request, request);
      else if (request.type === 'watch') this.#watch(request);
      else if (request.type === 'enter') this.#entered.enter(seq, request.plan);
      else if (request.type === 'cancel') this.#cancel(seq, request.id);
      else if (request.type === 'runtime') this.#startRuntime(request);
      else if (request.type === 'abortRuntime') this.#abortRuntime(request);
      else this.#prepareNetwork(seq, request.netns);
    } catch (error) {
      this.#report({ type: 'failed', seq, failure: failureOf(request.type, error) });
    }
  }

  #addBlank(request: Request & { type: 'blank' }): void {
    const { name } = request.blank;
    failpoint('launcher.blank.before-fork');
    const forked = forkBlank(this.#context, request.blank);
    failpoint('launcher.blank.after-fork');
    const blank: Growing = { ...forked, name, said: [], seq: request.seq };
    this.#blanks.set(name, blank);
    this.#sources.set(blank.outcomeFd, () => this.#hear(blank));
    const without = [...this.#blanks.values()].filter(({ network }) => network === undefined);
    this.#networks.prepare(without.length);
  }

  /** For a plan that the engine could not give the blank itself. */
  #start({ blank: name, plan, seq }: Request & { type: 'start' }): void {
    const blank = this.#begin(
      { blank: name, seq },
      { id: plan.id, loopback: plan.netns === undefined },
    );
    // A container without a network gets a loopback that was made ahead, if one is left
    const netns = plan.netns ?? blank.network?.path;
    this.#writeAll(blank.planFd, encodeFrame(netns === undefined ? plan : { ...plan, netns }));
  }

  /** The blank is a container's from now on. */
  #begin(
    request: { blank: string; seq: number },
    { id, loopback }: { id: string; loopback: boolean },
  ): Growing {
    failpoint('launcher.start.before');
    const blank = this.#blanks.get(request.blank);
    if (blank === undefined) throw new Error(`no blank "${request.blank}"`);
    this.#blanks.delete(request.blank);
    blank.seq = request.seq;
    blank.id = id;
    if (!loopback && blank.network !== undefined) {
      this.#networks.putBack(blank.network);
      delete blank.network;
    }
    if (blank.hasEnded === true) this.#judge(blank);
    else this.#ending.add(blank.outcomeFd);
    failpoint('launcher.start.begun');
    return blank;
  }

  /** The next word of a child: ready, executing, or that it cannot go on. */
  #hear(blank: Growing): void {
    const { sys } = this.#context;
    for (let length = 1; length > 0; ) {
      length = sys.read(blank.outcomeFd, this.#chunk);
      blank.said.push(Buffer.from(this.#chunk.subarray(0, length)));
      const pid = readyPid(this.#chunk.toString('latin1', 0, length));
      if (pid !== undefined) this.#ready(blank, pid);
      if (length > 0 && !this.#ending.has(blank.outcomeFd)) return;
    }
    this.#sources.delete(blank.outcomeFd);
    this.#ending.delete(blank.outcomeFd);
    blank.hasEnded = true;
    // Of one that has its plan already, whose it is will be heard at once
    if (blank.id !== undefined || !saidMore(Buffer.concat(blank.said))) this.#judge(blank);
    // After whoever waits has heard of it
    for (const fd of [blank.outcomeFd, blank.planFd]) sys.close(fd);
  }

  /** What became of one that says nothing more. */
  #judge(blank: Growing): void {
    this.#blanks.delete(blank.name);
    this.#tell(blank);
    if (blank.network !== undefined) this.#context.sys.close(blank.network.fd);
  }

  #tell(blank: Growing): void {
    const failure = parseOutcome(Buffer.concat(blank.said));
    const { id, pid, pidfd, program, seq, startTime } = blank;
    if (failure === undefined && id !== undefined && seq !== undefined && program !== undefined) {
      failpoint('launcher.start.before-report');
      this.#report({ type: 'started', seq, ...program, init: { pid, startTime } });
      this.#children.add(blank, (status) => this.#report({ type: 'exited', id, pid, status }));
      return;
    }
    this.#context.sys.wait4(pid, 0);
    this.#context.sys.close(pidfd);
    if (seq === undefined) this.#report({ type: 'blankLost', name: blank.name });
    else if (failure !== undefined) this.#report({ type: 'failed', seq, failure });
  }

  #ready(blank: Growing, pid: number): void {
    if (blank.seq === undefined) return;
    try {
      blank.program = { pid, startTime: processStartTime(pid) };
    } catch {
      // It has ended: so does its pipe
      return;
    }
    const init = { pid: blank.pid, startTime: blank.startTime };
    const network = this.#networks.take();
    if (network !== undefined) blank.network = network;
    const { inode } = this.#context.sys.fstat(blank.planFd);
    const loopback = network === undefined ? {} : { loopback: network.path };
    const door = { fd: blank.planFd, inode, ...loopback };
    this.#report({ type: 'done', seq: blank.seq, process: { ...blank.program, init }, door });
    blank.seq = undefined;
  }

  /** The container's first process is its program, and its end the container's. */
  #startRuntime({ runtime, seq }: Request & { type: 'runtime' }): void {
    const { id } = runtime.start;
    this.#runtimes.start(runtime, {
      started: (process) => this.#report({ type: 'started', seq, ...process, init: process }),
      failed: (failure) => this.#report({ type: 'failed', seq, failure }),
      exited: (pid, status) => this.#report({ type: 'exited', id, pid, status }),
    });
  }

  #abortRuntime({ id, seq }: Request & { type: 'abortRuntime' }): void {
    this.#runtimes.abort(id);
    this.#report({ type: 'done', seq });
  }

  #cancel(seq: number, id: string): void {
    this.#entered.cancel(id);
    this.#report({ type: 'done', seq });
  }

  /** An adopted container: nobody here can wait for it, but its pidfd tells its end. */
  #watch(request: Request & { type: 'watch' }): void {
    const { id, pid, seq, startTime } = request;
    failpoint('launcher.watch.before-report');
    this.#report({ type: 'done', seq });
    const pidfd = this.#openSame(pid, startTime);
    if (pidfd === undefined) {
      this.#report({ type: 'exited', id, pid });
      return;
    }
    this.#children.watch(pidfd, () => this.#report({ type: 'exited', id, pid }));
  }

  /** A pidfd of the process that started then; undefined if it has ended. */
  #openSame(pid: number, startTime: string): number | undefined {
    const { sys } = this.#context;
    try {
      const pidfd = sys.pidfdOpen(pid);
      if (isSameProcess(pid, startTime)) return pidfd;
      sys.close(pidfd);
    } catch (error) {
      if (!(error instanceof SyscallError) || error.code !== 'ESRCH') throw error;
    }
    return undefined;
  }

  /** Settings can be written only from inside: by a child, as the launcher never changes its own. */
  #prepareNetwork(seq: number, netns: string): void {
    const { sys } = this.#context;
    failpoint('launcher.network.before-fork');
    const pid = sys.fork();
    if (pid === 0) {
      try {
        sys.setns(sys.openat(AT_FDCWD, netns, O_RDONLY | O_CLOEXEC), CLONE_NEWNET);
        configureNetwork(sys);
        sys.exit(0);
      } finally {
        sys.exit(1);
      }
    }
    failpoint('launcher.network.after-fork');
    const { status } = sys.wait4(pid, 0);
    if (status !== 0) throw new Error(`cannot configure ${netns}: wait status ${status}`);
    this.#report({ type: 'done', seq });
  }

  /** Blocks while the engine does not read: its reader never waits for the launcher. */
  #report(report: Report): void {
    this.#writeAll(this.#controlFd, encodeFrame(report));
  }

  #writeAll(fd: number, frame: Buffer): void {
    let rest = frame;
    while (rest.length > 0) rest = rest.subarray(this.#context.sys.write(fd, rest));
  }
}
