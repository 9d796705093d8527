import { failpoint } from '../failpoints.ts';
import {
  AT_FDCWD,
  CLONE_NEWUSER,
  O_CLOEXEC,
  O_RDONLY,
  O_WRONLY,
  PR_SET_SECUREBITS,
  SECBIT_NO_SETUID_FIXUP,
} from '../kernel/linux-constants.ts';
import type { Syscalls } from '../kernel/syscall-types.ts';

/** Ids of one container's range: container 0 … 65535. */
export const UIDS_PER_CONTAINER = 65_536;

const CACHED_MAX = 4096;
const SIGKILL = 9;

/**
 * User namespaces by first host uid, made once each and kept as descriptors: a range is used by one
 * container at a time, and the namespace holds no state that one leaves to the next.
 */
export class UserNamespaces {
  readonly #sys: Syscalls;
  readonly #fds = new Map<number, number>();

  constructor(sys: Syscalls) {
    this.#sys = sys;
  }

  /** Descriptor of the namespace whose uid 0 is host uid `uidBase`. */
  get(uidBase: number): number {
    const known = this.#fds.get(uidBase);
    if (known !== undefined) return known;
    if (this.#fds.size >= CACHED_MAX) this.#closeOldest();
    const fd = createUserNamespace(this.#sys, uidBase);
    this.#fds.set(uidBase, fd);
    return fd;
  }

  #closeOldest(): void {
    for (const [uidBase, fd] of this.#fds) {
      this.#fds.delete(uidBase);
      this.#sys.close(fd);
      return;
    }
  }
}

/**
 * A child unshares, the parent writes the maps (user_namespaces(7): needs CAP_SETUID in the parent
 * namespace, and leaves setgroups usable) and opens the namespace; then the child may go.
 */
function createUserNamespace(sys: Syscalls, uidBase: number): number {
  const ready = sys.pipe2(O_CLOEXEC);
  const pid = sys.fork();
  if (pid === 0) waitInNewUserNamespace(sys, uidBase, ready);
  failpoint('launcher.userns.after-fork');
  try {
    sys.close(ready.write);
    const said = Buffer.alloc(1);
    if (sys.read(ready.read, said) !== 1) throw new Error('cannot create a user namespace');
    const map = `0 ${uidBase} ${UIDS_PER_CONTAINER}\n`;
    for (const name of ['uid_map', 'gid_map']) writeText(sys, `/proc/${pid}/${name}`, map);
    return sys.openat(AT_FDCWD, `/proc/${pid}/ns/user`, O_RDONLY | O_CLOEXEC);
  } finally {
    sys.close(ready.read);
    sys.kill(pid, SIGKILL);
    sys.wait4(pid, 0);
  }
}

/**
 * Waits for its end, or the launcher's: the pipe then has no reader, which is an error of it.
 * What users of a namespace have is counted for its maker too (inotify instances and others of
 * namespaces(7), /proc/sys/user), so the maker is a user that no other container has.
 */
function waitInNewUserNamespace(
  sys: Syscalls,
  uidBase: number,
  ready: { read: number; write: number },
): never {
  try {
    sys.close(ready.read);
    sys.prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP);
    sys.setresuid(uidBase, uidBase, uidBase);
    sys.unshare(CLONE_NEWUSER);
    sys.write(ready.write, Buffer.from('u'));
    sys.poll([{ fd: ready.write, events: 0 }], -1);
  } catch {
    // Told by the pipe's end
  }
  return sys.exit(1);
}

/** Writes a kernel file in one write, without creating it. */
export function writeText(sys: Syscalls, path: string, text: string): void {
  const fd = sys.openat(AT_FDCWD, path, O_WRONLY | O_CLOEXEC);
  try {
    sys.write(fd, Buffer.from(text));
  } finally {
    sys.close(fd);
  }
}
