import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  F_DUPFD_CLOEXEC,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_RDONLY,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_T_EMPTY_PATH,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_PATH,
  O_WRONLY,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  S_IFCHR,
} from '../linux-constants.ts';
import { makedev, SyscallError, type Syscalls } from '../syscall-types.ts';
import type { StartPlan } from './messages.ts';
import { cloneMapped } from './root-file-system.ts';

const NO_ESCALATION = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
const PATH_ONLY = O_PATH | O_CLOEXEC;

/** Files and folders of /proc that tell of the host or take commands to it (Docker's list and kallsyms). */
const MASKED_FILES = [
  'interrupts',
  'kallsyms',
  'kcore',
  'keys',
  'latency_stats',
  'sched_debug',
  'timer_list',
  'timer_stats',
];
const MASKED_FOLDERS = ['acpi', 'asound', 'scsi'];
const READ_ONLY = ['bus', 'fs', 'irq', 'pressure', 'sys', 'sysrq-trigger'];

/** Device nodes by name: major, minor (Documentation/admin-guide/devices.txt). */
const DEVICES = {
  null: [1, 3],
  zero: [1, 5],
  full: [1, 7],
  random: [1, 8],
  urandom: [1, 9],
  tty: [5, 0],
} as const;

const DEVICE_LINKS = {
  fd: '/proc/self/fd',
  stdin: '/proc/self/fd/0',
  stdout: '/proc/self/fd/1',
  stderr: '/proc/self/fd/2',
  ptmx: 'pts/ptmx',
} as const;

const SHM_BYTES = 64 * 1024 * 1024;

/**
 * Everything mounted over the root before it is entered. The image is hostile: each target is a
 * descriptor found by openat2(2) inside the root, and mounts move onto descriptors, so that no path
 * of the image is resolved twice or outside. /proc and /dev must be real folders.
 */
export function mountOverRoot(sys: Syscalls, plan: StartPlan, userns: number): void {
  const root = sys.openat(AT_FDCWD, 'root', O_PATH | O_DIRECTORY | O_CLOEXEC);
  sys.mkdirat(AT_FDCWD, 'files', 0o755);
  plan.files.forEach((file, n) => {
    mountFile(sys, root, { ...file, staged: `files/${n}`, uidBase: plan.uidBase });
  });
  for (const bind of plan.binds) {
    const target = openFolder(sys, root, bind.target);
    attach(sys, cloneMapped(sys, { source: bind.source, userns, readOnly: true }), target);
  }
  const devNull = mountDev(sys, root, plan.uidBase);
  mountProc(sys, root, devNull);
  for (const fd of [devNull, root]) sys.close(fd);
}

/** Moves a detached mount onto a descriptor and closes both. */
function attach(sys: Syscalls, mount: number, target: number): void {
  sys.moveMount(mount, '', target, '', MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
  sys.close(mount);
  sys.close(target);
}

function openFolder(sys: Syscalls, root: number, path: string): number {
  const resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS;
  const how = { flags: PATH_ONLY | O_DIRECTORY, resolve };
  try {
    return sys.openat2(root, path, how);
  } catch (error) {
    if (!(error instanceof SyscallError) || error.code !== 'ENOENT') throw error;
  }
  // The image removed what the skeleton layer offers
  const cut = path.lastIndexOf('/');
  const parent = openFolder(sys, root, cut <= 0 ? '/' : path.slice(0, cut));
  sys.mkdirat(parent, path.slice(cut + 1), 0o755);
  sys.close(parent);
  return sys.openat2(root, path, how);
}

function mountFile(
  sys: Syscalls,
  root: number,
  file: { target: string; text: string; staged: string; uidBase: number },
): void {
  const fd = sys.openat(AT_FDCWD, file.staged, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0o644);
  const text = Buffer.from(file.text);
  if (text.length > 0) sys.write(fd, text);
  sys.close(fd);
  sys.fchownat(AT_FDCWD, file.staged, file.uidBase, file.uidBase, 0);
  const clone = sys.openTree(AT_FDCWD, file.staged, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  sys.mountSetattr(clone, '', AT_EMPTY_PATH, { set: NO_ESCALATION | MOUNT_ATTR_RDONLY });
  attach(sys, clone, openFileTarget(sys, root, file.target));
}

/** Links are followed, inside the root only: distributions ship /etc/resolv.conf as one. */
function openFileTarget(sys: Syscalls, root: number, path: string): number {
  const resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  try {
    return sys.openat2(root, path, { flags: PATH_ONLY, resolve });
  } catch (error) {
    if (!(error instanceof SyscallError) || error.code !== 'ENOENT') throw error;
  }
  // Missing, or a link to nowhere: a file of our own takes the name
  const cut = path.lastIndexOf('/');
  const parent = openFolder(sys, root, cut <= 0 ? '/' : path.slice(0, cut));
  const name = path.slice(cut + 1);
  try {
    sys.unlinkat(parent, name, 0);
  } catch (error) {
    if (!(error instanceof SyscallError) || error.code !== 'ENOENT') throw error;
  }
  sys.close(sys.openat(parent, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0o644));
  const fd = sys.openat(parent, name, PATH_ONLY | O_NOFOLLOW);
  sys.close(parent);
  return fd;
}

interface FileSystem {
  type: string;
  options: Readonly<Record<string, string>>;
  attributes: number;
}

/** A detached mount of a new file system. */
function newMount(sys: Syscalls, fileSystem: FileSystem): number {
  const context = sys.fsopen(fileSystem.type, FSOPEN_CLOEXEC);
  for (const [key, value] of Object.entries(fileSystem.options)) {
    sys.fsconfigSet(context, key, value);
  }
  sys.fsconfigCreate(context);
  const mount = sys.fsmount(context, FSMOUNT_CLOEXEC, fileSystem.attributes);
  sys.close(context);
  return mount;
}

/** A small /dev of our own; answers a descriptor of its null device. */
function mountDev(sys: Syscalls, root: number, uidBase: number): number {
  const [uid, gid] = [String(uidBase), String(uidBase)];
  const target = openFolder(sys, root, '/dev');
  const options = { mode: '0755', size: '65536', uid, gid };
  const attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC;
  const dev = newMount(sys, { type: 'tmpfs', options, attributes });
  for (const [name, [major, minor]] of Object.entries(DEVICES)) {
    sys.mknodat(dev, name, S_IFCHR | 0o666, makedev(major, minor));
  }
  for (const [name, to] of Object.entries(DEVICE_LINKS)) sys.symlinkat(to, dev, name);
  for (const name of ['pts', 'shm']) sys.mkdirat(dev, name, 0o755);
  const inside = sys.fcntl(dev, F_DUPFD_CLOEXEC, 0);
  attach(sys, dev, target);
  const ttyGid = String(uidBase + 5);
  const pts = { ptmxmode: '0666', mode: '0620', gid: ttyGid };
  const ptsMount = {
    type: 'devpts',
    options: pts,
    attributes: MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC,
  };
  attach(sys, newMount(sys, ptsMount), sys.openat(inside, 'pts', PATH_ONLY));
  const shm = { mode: '1777', size: String(SHM_BYTES), uid, gid };
  const shmMount = { type: 'tmpfs', options: shm, attributes: NO_ESCALATION };
  attach(sys, newMount(sys, shmMount), sys.openat(inside, 'shm', PATH_ONLY));
  const devNull = sys.openat(inside, 'null', PATH_ONLY | O_NOFOLLOW);
  sys.close(inside);
  return devNull;
}

function mountProc(sys: Syscalls, root: number, devNull: number): void {
  const target = openFolder(sys, root, '/proc');
  const proc = newMount(sys, { type: 'proc', options: {}, attributes: NO_ESCALATION });
  const inside = sys.fcntl(proc, F_DUPFD_CLOEXEC, 0);
  attach(sys, proc, target);
  for (const name of MASKED_FILES) {
    const at = openIfThere(sys, inside, name);
    if (at === undefined) continue;
    attach(sys, sys.openTree(devNull, '', OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH), at);
  }
  for (const name of MASKED_FOLDERS) {
    const at = openIfThere(sys, inside, name);
    if (at === undefined) continue;
    const options = { size: '4096', mode: '0555' };
    const attributes = NO_ESCALATION | MOUNT_ATTR_RDONLY;
    attach(sys, newMount(sys, { type: 'tmpfs', options, attributes }), at);
  }
  for (const name of READ_ONLY) {
    const at = openIfThere(sys, inside, name);
    if (at === undefined) continue;
    const clone = sys.openTree(inside, name, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    sys.mountSetattr(clone, '', AT_EMPTY_PATH, { set: NO_ESCALATION | MOUNT_ATTR_RDONLY });
    attach(sys, clone, at);
  }
  sys.close(inside);
}

function openIfThere(sys: Syscalls, dirfd: number, name: string): number | undefined {
  try {
    return sys.openat(dirfd, name, PATH_ONLY | O_NOFOLLOW);
  } catch (error) {
    if (error instanceof SyscallError && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
