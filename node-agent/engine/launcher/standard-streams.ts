import { basename, dirname } from 'node:path';
import {
  AF_UNIX,
  AT_FDCWD,
  F_DUPFD_CLOEXEC,
  F_SETPIPE_SZ,
  O_CLOEXEC,
  O_RDONLY,
  O_RDWR,
  SOCK_CLOEXEC,
  SOCK_STREAM,
} from '../kernel/linux-constants.ts';
import { SyscallError, type Syscalls } from '../kernel/syscall-types.ts';
import type { StartPlan } from './messages.ts';

const LISTEN_BACKLOG = 511;
const PIPE_BYTES = 1024 * 1024;
/** Descriptors wait above this number until the low ones are free. */
const PARKED_FROM = 64;
const FD_MAX = 0xffffffff;

/**
 * Opens what the program gets as descriptors 0, 1, …, while the host's paths can still be seen:
 * /dev/null, stdout, stderr, then the listening socket and the status pipe if there are any.
 */
export function openStreams(sys: Syscalls, plan: StartPlan): number[] {
  const fds = [
    sys.openat(AT_FDCWD, '/dev/null', O_RDONLY | O_CLOEXEC),
    openPipe(sys, plan.stdout),
    openPipe(sys, plan.stderr),
  ];
  if (plan.listenPath !== undefined) fds.push(listenAt(sys, plan.listenPath));
  if (plan.status !== undefined) fds.push(openPipe(sys, plan.status));
  return fds.map((fd) => park(sys, fd));
}

/** For reading too, so that the death of the engine, which reads it, is no SIGPIPE. */
function openPipe(sys: Syscalls, path: string): number {
  const fd = sys.openat(AT_FDCWD, path, O_RDWR | O_CLOEXEC);
  try {
    sys.fcntl(fd, F_SETPIPE_SZ, PIPE_BYTES);
  } catch (error) {
    // A smaller pipe still works: the host's budget of pipe pages may be used up
    if (!(error instanceof SyscallError)) throw error;
  }
  return fd;
}

/** Bound by a relative name, as the address of a unix socket holds 107 bytes. */
function listenAt(sys: Syscalls, path: string): number {
  const fd = sys.socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sys.chdir(dirname(path));
  sys.bindUnix(fd, basename(path));
  // Reaching it is governed by the folders above it
  sys.fchmodat(AT_FDCWD, basename(path), 0o666);
  sys.chdir('/');
  sys.listen(fd, LISTEN_BACKLOG);
  return fd;
}

/** Moves a descriptor out of the way of the numbers the program gets. */
export function park(sys: Syscalls, fd: number): number {
  const parked = sys.fcntl(fd, F_DUPFD_CLOEXEC, PARKED_FROM);
  sys.close(fd);
  return parked;
}

/** Closes every descriptor from `first` on but those of `keep`. */
export function closeFrom(sys: Syscalls, first: number, keep: readonly number[]): void {
  let next = first;
  for (const fd of [...keep].sort((a, b) => a - b)) {
    if (fd > next) sys.closeRange(next, fd - 1, 0);
    next = Math.max(next, fd + 1);
  }
  sys.closeRange(next, FD_MAX, 0);
}

/**
 * Gives the program exactly `streams` as 0, 1, …; everything else is closed but `keep`, which
 * closes when the program is executed. CVE-2024-21626: no descriptor of the host outlives this.
 */
export function installStreams(sys: Syscalls, streams: readonly number[], keep: number): void {
  streams.forEach((fd, n) => {
    sys.dup3(fd, n, 0);
  });
  closeFrom(sys, streams.length, [keep]);
}
