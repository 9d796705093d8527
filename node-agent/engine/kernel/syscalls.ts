import { fstatSync } from 'node:fs';
import { constants as osConstants } from 'node:os';
import koffi from 'koffi';
import {
  AT_EMPTY_PATH,
  CLONE_PARENT,
  CLONE_VM,
  MAP_PRIVATE,
  PROT_EXEC,
  PROT_READ,
} from './linux-constants.ts';
import { engineArch, syscallNumbers } from './syscall-numbers.ts';
import {
  capabilityData,
  capabilityHeader,
  mountAttr,
  openHow,
  writeTimespec,
} from './syscall-structs.ts';
import { type Path, SyscallError, type Syscalls } from './syscall-types.ts';

export type { CapabilitySets, FileTime, OpenHow, Path, Syscalls, Waited } from './syscall-types.ts';
export { SyscallError } from './syscall-types.ts';

type Raw = (...args: unknown[]) => number;

const libc = koffi.load(null);
const numbers = syscallNumbers(engineArch());
// Another name of EAGAIN
const { EWOULDBLOCK: _, ...errnos } = osConstants.errno;
const errnoNames = new Map(Object.entries(errnos).map(([name, n]) => [n, name]));
const SECCOMP_SET_MODE_FILTER = 1;
const XATTR_BYTES_MAX = 65_536;
const PATH_BYTES_MAX = 4096;

/** `syscall(2)` with parameters: i integer, p path or text, b bytes or null. */
function define(name: string, signature: string): Raw {
  const number = numbers.get(name);
  if (number === undefined) throw new Error(`no number for syscall ${name}`);
  const types = [...signature].map((sign) => (sign === 'i' ? 'int64' : 'void *'));
  const raw = libc.func('syscall', 'int64', ['int64', ...types]);
  return (...args) => {
    const result = Number(raw(number, ...args.map((arg) => checkedArgument(name, arg))));
    if (result < 0) fail(name, koffi.errno(), args);
    return result;
  };
}

function fail(call: string, errno: number, args: readonly unknown[]): never {
  throw new SyscallError({ call, errno, code: errnoNames.get(errno) ?? `errno ${errno}`, args });
}

/** A NUL inside a text would silently end it in the kernel's eyes. */
function checkedArgument(call: string, arg: unknown): unknown {
  if (typeof arg === 'string' && arg.includes('\0')) fail(call, osConstants.errno.EINVAL, [arg]);
  return arg;
}

/** Bytes of a path, ended by NUL, or the text itself. */
function path(value: Path): Path {
  if (typeof value === 'string') return value;
  if (value.includes(0)) fail('path', osConstants.errno.EINVAL, [value]);
  return Buffer.concat([value, Buffer.alloc(1)]);
}

/** `char *[]`, ended by a null pointer; `keep` must live as long as the array is used. */
function pointerArray(texts: readonly string[]): { array: Buffer; keep: Buffer } {
  for (const text of texts) checkedArgument('execve', text);
  const keep = Buffer.from(texts.map((text) => `${text}\0`).join(''));
  const array = Buffer.alloc(8 * (texts.length + 1));
  let address = keep.length === 0 ? 0n : koffi.address(keep);
  texts.forEach((text, n) => {
    array.writeBigUInt64LE(address, 8 * n);
    address += BigInt(Buffer.byteLength(text) + 1);
  });
  return { array, keep };
}

function processCalls() {
  const fork = libc.func('fork', 'int', []);
  const exit = libc.func('_exit', 'void', ['int']);
  const execve = define('execve', 'pbb');
  const execveat = define('execveat', 'ipbbi');
  const clone = define('clone', 'iiiii');
  // glibc's: it runs a function on a stack of its own
  const cloneOnStack = libc.func('clone', 'int', ['uintptr', 'uintptr', 'int', 'uintptr']);
  const mmap = define('mmap', 'iiiiii');
  const getpid = define('getpid', '');
  const setsid = define('setsid', '');
  const wait4 = define('wait4', 'ibib');
  const kill = define('kill', 'ii');
  const pidfdOpen = define('pidfd_open', 'ii');
  const pidfdSendSignal = define('pidfd_send_signal', 'iibi');
  const sigprocmask = define('rt_sigprocmask', 'ibbi');
  const sigaction = define('rt_sigaction', 'ibbi');
  const prctl = define('prctl', 'iiiii');
  const prlimit = define('prlimit64', 'iibb');
  const umask = define('umask', 'i');
  return {
    fork: () => {
      const pid = Number(fork());
      if (pid < 0) fail('fork', koffi.errno(), []);
      return pid;
    },
    execve: (file, argv, env) => {
      const [a, e] = [pointerArray(argv), pointerArray(env)];
      execve(file, a.array, e.array);
      throw new Error(`execve returned (${a.keep.length + e.keep.length})`);
    },
    execveat: (fd, argv, env) => {
      const [a, e] = [pointerArray(argv), pointerArray(env)];
      execveat(fd, '', a.array, e.array, AT_EMPTY_PATH);
      throw new Error(`execveat returned (${a.keep.length + e.keep.length})`);
    },
    // The order of the further arguments differs by architecture, but none is given
    cloneSibling: () => clone(CLONE_PARENT | osConstants.signals.SIGCHLD, 0, 0, 0, 0),
    cloneInMemory: (code, stack) => {
      // Stacks grow downwards, and are aligned to 16 bytes
      const top = (koffi.address(stack) + BigInt(stack.length)) & ~15n;
      const flags = CLONE_VM | CLONE_PARENT | osConstants.signals.SIGCHLD;
      const pid = Number(cloneOnStack(code, top, flags, 0));
      if (pid < 0) fail('clone', koffi.errno(), []);
      return pid;
    },
    mapExecutable: (fd, bytes) => BigInt(mmap(0, bytes, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0)),
    exit: (code) => {
      exit(code);
      throw new Error('_exit returned');
    },
    getpid: () => getpid(),
    setsid: () => void setsid(),
    wait4: (pid, options) => {
      const status = Buffer.alloc(4);
      return { pid: wait4(pid, status, options, null), status: status.readInt32LE() };
    },
    kill: (pid, signal) => void kill(pid, signal),
    pidfdOpen: (pid) => pidfdOpen(pid, 0),
    pidfdSendSignal: (pidfd, signal) => void pidfdSendSignal(pidfd, signal, null, 0),
    sigprocmask: (mask) => {
      const set = Buffer.alloc(8);
      set.writeBigUInt64LE(mask);
      sigprocmask(2, set, null, 8);
    },
    // A zeroed struct sigaction is SIG_DFL with no flags on every architecture
    sigdefault: (signal) => void sigaction(signal, Buffer.alloc(32), null, 8),
    prctl: (option, arg2 = 0, arg3 = 0) => prctl(option, arg2, arg3, 0, 0),
    setrlimit: (resource, soft, hard) => {
      const limit = Buffer.alloc(16);
      limit.writeBigUInt64LE(BigInt(soft), 0);
      limit.writeBigUInt64LE(BigInt(hard), 8);
      prlimit(0, resource, limit, null);
    },
    umask: (mask) => umask(mask),
  } satisfies Partial<Syscalls>;
}

function credentialCalls() {
  const unshare = define('unshare', 'i');
  const setns = define('setns', 'ii');
  const sethostname = define('sethostname', 'pi');
  const setgroups = define('setgroups', 'ib');
  const setresgid = define('setresgid', 'iii');
  const setresuid = define('setresuid', 'iii');
  const setfsuid = define('setfsuid', 'i');
  const setfsgid = define('setfsgid', 'i');
  const capset = define('capset', 'bb');
  const seccomp = define('seccomp', 'iib');
  const chdir = define('chdir', 'p');
  const fchdir = define('fchdir', 'i');
  const getcwd = define('getcwd', 'bi');
  return {
    unshare: (flags) => void unshare(flags),
    setns: (fd, type) => void setns(fd, type),
    sethostname: (name) => void sethostname(name, Buffer.byteLength(name)),
    setgroups: (groups) => {
      const list = Buffer.from(Uint32Array.from(groups).buffer);
      setgroups(groups.length, groups.length === 0 ? null : list);
    },
    setresgid: (real, effective, saved) => void setresgid(real, effective, saved),
    setresuid: (real, effective, saved) => void setresuid(real, effective, saved),
    setfsuid: (uid) => void setfsuid(uid),
    setfsgid: (gid) => void setfsgid(gid),
    capset: (sets) => void capset(capabilityHeader(), capabilityData(sets)),
    seccompSetFilter: (program) => {
      const fprog = Buffer.alloc(16);
      fprog.writeUInt16LE(program.length / 8, 0);
      fprog.writeBigUInt64LE(koffi.address(program), 8);
      seccomp(SECCOMP_SET_MODE_FILTER, 0, fprog);
    },
    chdir: (to) => void chdir(path(to)),
    fchdir: (fd) => void fchdir(fd),
    getcwd: () => {
      const buffer = Buffer.alloc(PATH_BYTES_MAX);
      return buffer.toString('utf8', 0, getcwd(buffer, buffer.length) - 1);
    },
  } satisfies Partial<Syscalls>;
}

function mountCalls() {
  const mount = define('mount', 'pppip');
  const umount2 = define('umount2', 'pi');
  const pivotRoot = define('pivot_root', 'pp');
  const openTree = define('open_tree', 'ipi');
  const moveMount = define('move_mount', 'ipipi');
  const mountSetattr = define('mount_setattr', 'ipibi');
  const fsopen = define('fsopen', 'pi');
  const fsconfig = define('fsconfig', 'iippi');
  const fsmount = define('fsmount', 'iii');
  return {
    mount: (source, target, type, flags, data) => void mount(source, target, type, flags, data),
    umount2: (target, flags) => void umount2(target, flags),
    pivotRoot: (newRoot, putOld) => void pivotRoot(newRoot, putOld),
    openTree: (dirfd, at, flags) => openTree(dirfd, path(at), flags),
    moveMount: (fromFd, from, toFd, to, flags) =>
      void moveMount(fromFd, path(from), toFd, path(to), flags),
    mountSetattr: (dirfd, at, flags, attr) => {
      const data = mountAttr(attr);
      mountSetattr(dirfd, path(at), flags, data, data.length);
    },
    fsopen: (type, flags) => fsopen(type, flags),
    fsconfigSet: (fd, key, value) =>
      void fsconfig(fd, value === undefined ? 0 : 1, key, value ?? null, 0),
    fsconfigCreate: (fd) => void fsconfig(fd, 6, null, null, 0),
    fsmount: (fd, flags, attributes) => fsmount(fd, flags, attributes),
  } satisfies Partial<Syscalls>;
}

function descriptorCalls() {
  const openat = define('openat', 'ipii');
  const openat2 = define('openat2', 'ipbi');
  const memfdCreate = define('memfd_create', 'pi');
  const close = define('close', 'i');
  const closeRange = define('close_range', 'iii');
  const dup3 = define('dup3', 'iii');
  const fcntl = define('fcntl', 'iii');
  const flock = define('flock', 'ii');
  const pipe2 = define('pipe2', 'bi');
  const read = define('read', 'ibi');
  const write = define('write', 'ibi');
  const getdents64 = define('getdents64', 'ibi');
  const ppoll = define('ppoll', 'bibbi');
  return {
    openat: (dirfd, at, flags, mode = 0) => openat(dirfd, path(at), flags, mode),
    openat2: (dirfd, at, how) => {
      const data = openHow(how);
      return openat2(dirfd, path(at), data, data.length);
    },
    memfdCreate: (name, flags) => memfdCreate(name, flags),
    close: (fd) => void close(fd),
    closeRange: (first, last, flags) => void closeRange(first, last, flags),
    dup3: (from, to, flags) => void dup3(from, to, flags),
    fcntl: (fd, command, argument) => fcntl(fd, command, argument),
    flock: (fd, operation) => void flock(fd, operation),
    pipe2: (flags) => {
      const fds = Buffer.alloc(8);
      pipe2(fds, flags);
      return { read: fds.readInt32LE(0), write: fds.readInt32LE(4) };
    },
    read: (fd, buffer) => read(fd, buffer, buffer.length),
    write: (fd, data) => write(fd, data, data.length),
    getdents64: (fd, buffer) => getdents64(fd, buffer, buffer.length),
    poll: (fds, timeoutMs) => {
      const set = Buffer.alloc(8 * fds.length);
      fds.forEach(({ fd, events }, n) => {
        set.writeInt32LE(fd, 8 * n);
        set.writeInt16LE(events, 8 * n + 4);
      });
      const time = Buffer.alloc(16);
      writeTimespec(time, 0, {
        seconds: Math.floor(timeoutMs / 1000),
        nanoseconds: (timeoutMs % 1000) * 1e6,
      });
      const ready = ppoll(set, fds.length, timeoutMs < 0 ? null : time, null, 8);
      return ready === 0 ? [] : fds.map((_, n) => set.readInt16LE(8 * n + 6));
    },
  } satisfies Partial<Syscalls>;
}

function pathCalls() {
  const mkdirat = define('mkdirat', 'ipi');
  const mknodat = define('mknodat', 'ipii');
  const symlinkat = define('symlinkat', 'pip');
  const linkat = define('linkat', 'ipipi');
  const unlinkat = define('unlinkat', 'ipi');
  const renameat2 = define('renameat2', 'ipipi');
  const readlinkat = define('readlinkat', 'ipbi');
  const fchownat = define('fchownat', 'ipiii');
  const fchmodat = define('fchmodat', 'ipi');
  const fchmod = define('fchmod', 'ii');
  const utimensat = define('utimensat', 'ipbi');
  return {
    mkdirat: (dirfd, at, mode) => void mkdirat(dirfd, path(at), mode),
    mknodat: (dirfd, at, mode, device) => void mknodat(dirfd, path(at), mode, device),
    symlinkat: (target, dirfd, at) => void symlinkat(path(target), dirfd, path(at)),
    linkat: (fromFd, from, toFd, to, flags) =>
      void linkat(fromFd, path(from), toFd, path(to), flags),
    unlinkat: (dirfd, at, flags) => void unlinkat(dirfd, path(at), flags),
    renameat2: (fromFd, from, toFd, to, flags) =>
      void renameat2(fromFd, path(from), toFd, path(to), flags),
    readlinkat: (dirfd, at) => {
      const buffer = Buffer.alloc(PATH_BYTES_MAX);
      return buffer.subarray(0, readlinkat(dirfd, path(at), buffer, buffer.length));
    },
    fchownat: (dirfd, at, uid, gid, flags) => void fchownat(dirfd, path(at), uid, gid, flags),
    fchmodat: (dirfd, at, mode) => void fchmodat(dirfd, path(at), mode),
    fchmod: (fd, mode) => void fchmod(fd, mode),
    utimensat: (dirfd, at, times, flags) => {
      const data = Buffer.alloc(32);
      writeTimespec(data, 0, times[0]);
      writeTimespec(data, 16, times[1]);
      utimensat(dirfd, path(at), data, flags);
    },
  } satisfies Partial<Syscalls>;
}

function xattrCalls() {
  const lsetxattr = define('lsetxattr', 'ppbii');
  const lgetxattr = define('lgetxattr', 'ppbi');
  const llistxattr = define('llistxattr', 'pbi');
  const fsetxattr = define('fsetxattr', 'ipbii');
  const fgetxattr = define('fgetxattr', 'ipbi');
  const flistxattr = define('flistxattr', 'ibi');
  return {
    lsetxattr: (at, name, value) => void lsetxattr(path(at), name, value, value.length, 0),
    lgetxattr: (at, name) => filled((buffer) => lgetxattr(path(at), name, buffer, buffer.length)),
    llistxattr: (at) => names(filled((buffer) => llistxattr(path(at), buffer, buffer.length))),
    fsetxattr: (fd, name, value) => void fsetxattr(fd, name, value, value.length, 0),
    fgetxattr: (fd, name) => filled((buffer) => fgetxattr(fd, name, buffer, buffer.length)),
    flistxattr: (fd) => names(filled((buffer) => flistxattr(fd, buffer, buffer.length))),
  } satisfies Partial<Syscalls>;
}

/** What `fill` wrote, in a buffer of the largest size the kernel allows for attributes. */
function filled(fill: (buffer: Buffer) => number): Buffer {
  const buffer = Buffer.alloc(XATTR_BYTES_MAX);
  return Buffer.from(buffer.subarray(0, fill(buffer)));
}

function names(list: Buffer): string[] {
  return list.toString().split('\0').slice(0, -1);
}

function socketCalls() {
  const socket = define('socket', 'iii');
  const bind = define('bind', 'ibi');
  const listen = define('listen', 'ii');
  const ioctl = define('ioctl', 'iib');
  const ioctlValue = define('ioctl', 'iii');
  const fstatfs = define('fstatfs', 'ib');
  return {
    socket: (domain, type, protocol) => socket(domain, type, protocol),
    bindUnix: (fd, at) => {
      const address = Buffer.alloc(110);
      address.writeUInt16LE(1, 0);
      if (address.write(at, 2, 107) < Buffer.byteLength(at)) {
        fail('bind', osConstants.errno.ENAMETOOLONG, [at]);
      }
      bind(fd, address, address.length);
    },
    listen: (fd, backlog) => void listen(fd, backlog),
    ioctl: (fd, request, data) => void ioctl(fd, request, data),
    ioctlValue: (fd, request, value) => ioctlValue(fd, request, value),
    fstat: (fd) => {
      const { dev, ino, mode, uid, gid, size, mtimeMs } = fstatSync(fd);
      return { device: dev, inode: ino, mode, uid, gid, sizeBytes: size, mtimeMs };
    },
    fstatfsType: (fd) => {
      const data = Buffer.alloc(120);
      fstatfs(fd, data);
      return Number(data.readBigInt64LE(0));
    },
  } satisfies Partial<Syscalls>;
}

/** The real kernel. The only file that reaches it through koffi. */
export const syscalls: Syscalls = {
  ...processCalls(),
  ...credentialCalls(),
  ...mountCalls(),
  ...descriptorCalls(),
  ...pathCalls(),
  ...xattrCalls(),
  ...socketCalls(),
};
