import {
  AT_FDCWD,
  CLONE_NEWNET,
  O_CLOEXEC,
  O_RDONLY,
  POLLIN,
  WNOHANG,
} from '../linux-constants.ts';
import { isSameProcess } from '../process-identity.ts';
import { SyscallError } from '../syscall-types.ts';
import { encodeFrame, FrameReader } from './frames.ts';
import type { Report, Request } from './messages.ts';
import { configureNetwork } from './network-namespace.ts';
import { type LauncherContext, parseOutcome, startChild } from './start-child.ts';

const READ_BYTES = 65_536;
const OUTCOME_BYTES_MAX = 65_536;

/** One descriptor the loop waits for. */
interface Source {
  fd: number;
  ready: () => void;
}

/**
 * Waits, synchronously, for the control stream, outcome pipes and pidfds. A start does not block the
 * loop beyond its fork: the child's way to its program ends with its outcome pipe.
 */
export class LauncherLoop {
  readonly #context: LauncherContext;
  readonly #controlFd: number;
  readonly #frames = new FrameReader();
  readonly #sources = new Map<number, Source>();
  readonly #chunk = Buffer.alloc(READ_BYTES);

  constructor(context: LauncherContext, controlFd: number) {
    this.#context = context;
    this.#controlFd = controlFd;
    this.#sources.set(controlFd, { fd: controlFd, ready: () => this.#readControl() });
  }

  run(): never {
    this.#report({ type: 'ready' });
    for (;;) {
      const sources = [...this.#sources.values()];
      const events = this.#context.sys.poll(
        sources.map(({ fd }) => ({ fd, events: POLLIN })),
        -1,
      );
      sources.forEach((source, n) => {
        if ((events[n] ?? 0) !== 0 && this.#sources.get(source.fd) === source) source.ready();
      });
    }
  }

  #readControl(): void {
    const length = this.#context.sys.read(this.#controlFd, this.#chunk);
    // The engine is gone; containers live on and are adopted by the next one
    if (length === 0) this.#context.sys.exit(0);
    for (const request of this.#frames.push(this.#chunk.subarray(0, length))) {
      this.#handle(request as Request);
    }
  }

  #handle(request: Request): void {
    const { seq } = request;
    try {
      switch (request.type) {
        case 'start':
          this.#start(request);
          break;
        case 'watch':
          this.#watch(request);
          break;
        case 'prepareUser':
          this.#context.users.get(request.uidBase);
          this.#report({ type: 'done', seq });
          break;
        case 'prepareNetwork':
          this.#prepareNetwork(seq, request.netns);
          break;
      }
    } catch (error) {
      const errno = error instanceof SyscallError ? error.code : 'ERR';
      const message = error instanceof Error ? error.message : String(error);
      this.#report({ type: 'failed', seq, failure: { step: request.type, errno, message } });
    }
  }

  #start(request: Request & { type: 'start' }): void {
    const { sys } = this.#context;
    const { id } = request.plan;
    const { pid, startTime, outcomeFd } = startChild(this.#context, request.plan);
    const pidfd = sys.pidfdOpen(pid);
    const said: Buffer[] = [];
    this.#add(outcomeFd, () => {
      const chunk = Buffer.alloc(OUTCOME_BYTES_MAX);
      const length = sys.read(outcomeFd, chunk);
      if (length > 0) {
        said.push(chunk.subarray(0, length));
        return;
      }
      this.#remove(outcomeFd);
      const failure = parseOutcome(Buffer.concat(said));
      if (failure === undefined) {
        this.#report({ type: 'started', seq: request.seq, pid, startTime });
        this.#add(pidfd, () => this.#reap(id, pid, pidfd));
        return;
      }
      sys.wait4(pid, 0);
      sys.close(pidfd);
      this.#report({ type: 'failed', seq: request.seq, failure });
    });
  }

  #reap(id: string, pid: number, pidfd: number): void {
    const waited = this.#context.sys.wait4(pid, WNOHANG);
    if (waited.pid === 0) return;
    this.#remove(pidfd);
    this.#report({ type: 'exited', id, pid, status: waited.status });
  }

  /** An adopted container: nobody here can wait for it, but its pidfd tells its end. */
  #watch(request: Request & { type: 'watch' }): void {
    const { id, pid, seq } = request;
    const pidfd = this.#context.sys.pidfdOpen(pid);
    this.#report({ type: 'done', seq });
    if (!isSameProcess(pid, request.startTime)) {
      this.#context.sys.close(pidfd);
      this.#report({ type: 'exited', id, pid });
      return;
    }
    this.#add(pidfd, () => {
      this.#remove(pidfd);
      this.#report({ type: 'exited', id, pid });
    });
  }

  /** Settings can be written only from inside: by a child, as the launcher never changes its own. */
  #prepareNetwork(seq: number, netns: string): void {
    const { sys } = this.#context;
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
    const { status } = sys.wait4(pid, 0);
    if (status !== 0) throw new Error(`cannot configure ${netns}: wait status ${status}`);
    this.#report({ type: 'done', seq });
  }

  #add(fd: number, ready: () => void): void {
    this.#sources.set(fd, { fd, ready });
  }

  #remove(fd: number): void {
    this.#sources.delete(fd);
    this.#context.sys.close(fd);
  }

  /** Blocks while the engine does not read: its reader never waits for the launcher. */
  #report(report: Report): void {
    let frame = encodeFrame(report);
    while (frame.length > 0) {
      frame = frame.subarray(this.#context.sys.write(this.#controlFd, frame));
    }
  }
}
