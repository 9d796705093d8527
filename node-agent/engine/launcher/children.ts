import { WNOHANG } from '../kernel/linux-constants.ts';
import type { Syscalls } from '../kernel/syscall-types.ts';

/** What the launcher's loop does when a descriptor is ready. */
export interface Sources {
  set(fd: number, ready: () => void): unknown;
  delete(fd: number): unknown;
}

/**
 * Processes whose end the launcher waits for, each by its pidfd in the loop's poll. Whoever forks
 * a child adds it here, with what shall happen then; nobody else may wait for it.
 */
export class Children {
  readonly #sys: Syscalls;
  readonly #sources: Sources;

  constructor(sys: Syscalls, sources: Sources) {
    this.#sys = sys;
    this.#sources = sources;
  }

  /** Hears the raw wait status of a child of this process, once. Takes the pidfd. */
  add(child: { pid: number; pidfd: number }, ended: (status: number) => void): void {
    const { pid, pidfd } = child;
    this.#sources.set(pidfd, () => {
      const waited = this.#sys.wait4(pid, WNOHANG);
      if (waited.pid === 0) return;
      this.#forget(pidfd);
      ended(waited.status);
    });
  }

  /** Hears the end of a process that is nobody's child here, once. Takes the pidfd. */
  watch(pidfd: number, ended: () => void): void {
    this.#sources.set(pidfd, () => {
      this.#forget(pidfd);
      ended();
    });
  }

  #forget(pidfd: number): void {
    this.#sources.delete(pidfd);
    this.#sys.close(pidfd);
  }
}
