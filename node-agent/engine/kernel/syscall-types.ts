/** A path; bytes where a name need not be UTF-8. Neither may hold a NUL. */
export type Path = string | Buffer;

/** `openat2(2)`'s struct open_how. */
export interface OpenHow {
  flags: number;
  mode?: number;
  /** RESOLVE_… */
  resolve: number;
}

/** A time as `utimensat(2)` takes it; `omit` leaves it as it is. */
export type FileTime = { seconds: number; nanoseconds: number } | 'omit';

/** `mount_setattr(2)`'s struct mount_attr. */
export interface MountAttr {
  /** MOUNT_ATTR_…. */
  set: number;
  clear?: number;
  /** One of MS_PRIVATE …. */
  propagation?: number;
  /** Descriptor of the user namespace for MOUNT_ATTR_IDMAP. */
  userns?: number;
}

/** What stat(2) says of a file; ids are the host's. */
export interface FileFacts {
  device: number;
  inode: number;
  /** With the type's bits, S_IF…. */
  mode: number;
  uid: number;
  gid: number;
  sizeBytes: number;
  mtimeMs: number;
}

/** A set of capabilities as bits, bit n for capability number n. */
export interface CapabilitySets {
  effective: bigint;
  permitted: bigint;
  inheritable: bigint;
}

/** Result of `wait4(2)`: `status` is the raw wait status. */
export interface Waited {
  pid: number;
  status: number;
}

/**
 * The kernel, one method a syscall, named as in section 2 of the manual; file descriptors and
 * process ids are numbers. Every method throws `SyscallError` when the kernel refuses.
 */
export interface Syscalls {
  // Processes
  /** 0 in the child. glibc's, so that its locks are sound in the child. */
  fork(): number;
  execve(path: string, argv: readonly string[], env: readonly string[]): never;
  /** Executes the file that `fd` means. */
  execveat(fd: number, argv: readonly string[], env: readonly string[]): never;
  /**
   * A fork whose parent is the caller's own (clone(2), CLONE_PARENT): 0 in the child. Not glibc's,
   * so for processes with a single thread.
   */
  cloneSibling(): number;
  /**
   * A child of the caller's own parent that runs native code at `code`, in the caller's memory and
   * beside it (clone(2), CLONE_VM). `stack` is its stack.
   */
  cloneInMemory(code: bigint, stack: Buffer): number;
  /** Address at which the file's first `bytes` can be executed. */
  mapExecutable(fd: number, bytes: number): bigint;
  /** Ends the process at once: no exit handlers, no threads joined. */
  exit(code: number): never;
  getpid(): number;
  setsid(): void;
  wait4(pid: number, options: number): Waited;
  kill(pid: number, signal: number): void;
  pidfdOpen(pid: number): number;
  pidfdSendSignal(pidfd: number, signal: number): void;
  /** Blocks exactly the signals of `mask` (bit n-1 for signal n). */
  sigprocmask(mask: bigint): void;
  /** Sets the default action of a signal. */
  sigdefault(signal: number): void;
  prctl(option: number, arg2?: number, arg3?: number): number;
  setrlimit(resource: number, soft: number, hard: number): void;
  umask(mask: number): number;

  // Namespaces and credentials: of the calling thread only, so for single-threaded processes
  unshare(flags: number): void;
  setns(fd: number, type: number): void;
  sethostname(name: string): void;
  setgroups(groups: readonly number[]): void;
  setresgid(real: number, effective: number, saved: number): void;
  setresuid(real: number, effective: number, saved: number): void;
  /** Ids for file access only; the kernel never refuses and never says whether it did it. */
  setfsuid(uid: number): void;
  setfsgid(gid: number): void;
  capset(sets: CapabilitySets): void;
  /** Adds a filter (`struct sock_filter[]`, 8 bytes an instruction) to the calling thread. */
  seccompSetFilter(program: Buffer): void;
  chdir(path: Path): void;
  fchdir(fd: number): void;
  getcwd(): string;

  // Mounts
  mount(
    source: string | null,
    target: string,
    type: string | null,
    flags: number,
    data: string | null,
  ): void;
  umount2(target: string, flags: number): void;
  pivotRoot(newRoot: string, putOld: string): void;
  openTree(dirfd: number, path: Path, flags: number): number;
  moveMount(fromFd: number, from: Path, toFd: number, to: Path, flags: number): void;
  mountSetattr(dirfd: number, path: Path, flags: number, attr: MountAttr): void;
  fsopen(type: string, flags: number): number;
  /** FSCONFIG_SET_STRING with a value, FSCONFIG_SET_FLAG without one. */
  fsconfigSet(fd: number, key: string, value?: string): void;
  fsconfigCreate(fd: number): void;
  fsmount(fd: number, flags: number, attributes: number): number;

  // Files
  openat(dirfd: number, path: Path, flags: number, mode?: number): number;
  openat2(dirfd: number, path: Path, how: OpenHow): number;
  /** A file in memory; `name` is only shown. */
  memfdCreate(name: string, flags: number): number;
  close(fd: number): void;
  closeRange(first: number, last: number, flags: number): void;
  dup3(from: number, to: number, flags: number): void;
  fcntl(fd: number, command: number, argument: number): number;
  /** Only ever with LOCK_NB: nobody may wait here. */
  flock(fd: number, operation: number): void;
  pipe2(flags: number): { read: number; write: number };
  /** Bytes read into `buffer`; 0 at the end. */
  read(fd: number, buffer: Buffer): number;
  write(fd: number, data: Buffer): number;
  /** Bytes of `struct linux_dirent64` read into `buffer`; 0 at the end. */
  getdents64(fd: number, buffer: Buffer): number;
  /** Ready events by position, 0 where none; empty array when the time is over. -1 ms: no limit. */
  poll(fds: readonly { fd: number; events: number }[], timeoutMs: number): number[];
  mkdirat(dirfd: number, path: Path, mode: number): void;
  /** `device` as `makedev` packs it. */
  mknodat(dirfd: number, path: Path, mode: number, device: number): void;
  symlinkat(target: Path, dirfd: number, path: Path): void;
  linkat(fromFd: number, from: Path, toFd: number, to: Path, flags: number): void;
  unlinkat(dirfd: number, path: Path, flags: number): void;
  renameat2(fromFd: number, from: Path, toFd: number, to: Path, flags: number): void;
  readlinkat(dirfd: number, path: Path): Buffer;
  fchownat(dirfd: number, path: Path, uid: number, gid: number, flags: number): void;
  /** Follows a symbolic link at the end of `path`. */
  fchmodat(dirfd: number, path: Path, mode: number): void;
  fchmod(fd: number, mode: number): void;
  utimensat(dirfd: number, path: Path, times: [FileTime, FileTime], flags: number): void;
  lsetxattr(path: Path, name: string, value: Buffer): void;
  lgetxattr(path: Path, name: string): Buffer;
  llistxattr(path: Path): string[];
  fsetxattr(fd: number, name: string, value: Buffer): void;
  fgetxattr(fd: number, name: string): Buffer;
  flistxattr(fd: number): string[];
  fstat(fd: number): FileFacts;
  /** Magic number of the file system that `fd` lies on. */
  fstatfsType(fd: number): number;

  // Sockets
  socket(domain: number, type: number, protocol: number): number;
  bindUnix(fd: number, path: string): void;
  listen(fd: number, backlog: number): void;
  ioctl(fd: number, request: number, data: Buffer): void;
  /** A request whose argument is a number; some answer a descriptor. */
  ioctlValue(fd: number, request: number, value: number): number;
}

/** A refused syscall: which, why, with what. */
export class SyscallError extends Error {
  /** Name of the call. */
  readonly call: string;
  readonly errno: number;
  /** `ENOENT`, … */
  readonly code: string;
  readonly args: readonly unknown[];

  constructor(failure: { call: string; errno: number; code: string; args: readonly unknown[] }) {
    super(`${failure.call}(${failure.args.map(shown).join(', ')}): ${failure.code}`);
    this.name = 'SyscallError';
    this.call = failure.call;
    this.errno = failure.errno;
    this.code = failure.code;
    this.args = failure.args;
  }
}

function shown(value: unknown): string {
  if (Buffer.isBuffer(value)) return `<${value.length} bytes>`;
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 200));
  if (Array.isArray(value)) return `[${value.length}]`;
  return typeof value === 'object' && value !== null ? '{…}' : String(value);
}

/** Device number as the kernel's userspace interface packs it. */
export function makedev(major: number, minor: number): number {
  return (((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0) as number;
}
