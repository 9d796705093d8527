import {
  O_CLOEXEC,
  O_DIRECTORY,
  O_RDONLY,
  RESOLVE_BENEATH,
  RESOLVE_NO_SYMLINKS,
} from '../engine/kernel/linux-constants.ts';
import type { Syscalls } from '../engine/kernel/syscall-types.ts';

const OPEN_MAX = 128;

/** Open descriptors of folders below one root, the most recently used ones kept. */
export class FolderCache {
  readonly #sys: Syscalls;
  readonly #rootFd: number;
  readonly #fds = new Map<string, number>();

  constructor(sys: Syscalls, rootFd: number) {
    this.#sys = sys;
    this.#rootFd = rootFd;
  }

  /**
   * Descriptor of the folder `path` (`''`: the root), valid until the next call. No component may
   * be a symbolic link: the kernel itself refuses (openat2(2), RESOLVE_NO_SYMLINKS).
   * @throws SyscallError ENOENT, ENOTDIR, ELOOP
   */
  open(path: string): number {
    if (path === '') return this.#rootFd;
    const known = this.#fds.get(path);
    if (known !== undefined) {
      this.#fds.delete(path);
      this.#fds.set(path, known);
      return known;
    }
    const fd = this.#sys.openat2(this.#rootFd, path, {
      flags: O_RDONLY | O_DIRECTORY | O_CLOEXEC,
      resolve: RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
    });
    this.#fds.set(path, fd);
    if (this.#fds.size > OPEN_MAX) this.#closeOldest();
    return fd;
  }

  /** Forgets a folder that is being removed, and all below it. */
  forget(path: string): void {
    for (const [known, fd] of this.#fds) {
      if (known !== path && !known.startsWith(`${path}/`)) continue;
      this.#fds.delete(known);
      this.#sys.close(fd);
    }
  }

  /** Closes all but the root, which is the caller's. */
  close(): void {
    for (const fd of this.#fds.values()) this.#sys.close(fd);
    this.#fds.clear();
  }

  #closeOldest(): void {
    const oldest = this.#fds.entries().next().value;
    if (oldest === undefined) return;
    this.#fds.delete(oldest[0]);
    this.#sys.close(oldest[1]);
  }
}
