import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  F_DUPFD_CLOEXEC,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_RDONLY,
  MS_NODEV,
  MS_NOEXEC,
  MS_NOSUID,
  MS_REMOUNT,
  O_NOFOLLOW,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
  S_IFCHR,
} from '../../kernel/linux-constants.ts';
import { makedev, SyscallError, type Syscalls } from '../../kernel/syscall-types.ts';
import { defaultInodes } from '../../storage/inodes.ts';
import type { BlankPlan } from '../messages.ts';
import { attach, NO_ESCALATION, newMount, PATH_ONLY } from './detached-mount.ts';
import { mountSys } from './sys-mount.ts';

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

/** Of one container: the kernel has 3072 for all that are not the host's (`kernel.pty`). */
const TERMINALS_MAX = 256;

const SHM_BYTES = 64 * 1024 * 1024;

/**
 * The container's own /dev, /proc and /sys, mounted as `dev`, `proc` and `sys` in the working
 * folder: nothing of them depends on the image, so they wait ready until one is there.
 */
export function mountSystem(
  sys: Syscalls,
  blank: Pick<BlankPlan, 'uidBase' | 'cgroupViews'>,
): void {
  for (const name of ['dev', 'proc']) sys.mkdirat(AT_FDCWD, name, 0o755);
  const devNull = mountDev(sys, blank.uidBase);
  mountProc(sys, devNull);
  sys.close(devNull);
  mountSys(sys, blank);
}

/** A small /dev of our own; answers a descriptor of its null device. */
function mountDev(sys: Syscalls, uidBase: number): number {
  const [uid, gid] = [String(uidBase), String(uidBase)];
  const options = { mode: '0755', size: '65536', nr_inodes: '1024', uid, gid };
  const attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC;
  const dev = newMount(sys, { type: 'tmpfs', options, attributes });
  for (const [name, [major, minor]] of Object.entries(DEVICES)) {
    sys.mknodat(dev, name, S_IFCHR | 0o666, makedev(major, minor));
  }
  for (const [name, to] of Object.entries(DEVICE_LINKS)) sys.symlinkat(to, dev, name);
  for (const name of ['pts', 'shm']) sys.mkdirat(dev, name, 0o755);
  const inside = sys.fcntl(dev, F_DUPFD_CLOEXEC, 0);
  attach(sys, dev, sys.openat(AT_FDCWD, 'dev', PATH_ONLY));
  const ttyGid = String(uidBase + 5);
  const pts = { ptmxmode: '0666', mode: '0620', gid: ttyGid, max: String(TERMINALS_MAX) };
  const ptsMount = {
    type: 'devpts',
    options: pts,
    attributes: MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC,
  };
  attach(sys, newMount(sys, ptsMount), sys.openat(inside, 'pts', PATH_ONLY));
  const inodes = String(defaultInodes(SHM_BYTES));
  const shm = { mode: '1777', size: String(SHM_BYTES), nr_inodes: inodes, uid, gid };
  const shmMount = { type: 'tmpfs', options: shm, attributes: NO_ESCALATION };
  attach(sys, newMount(sys, shmMount), sys.openat(inside, 'shm', PATH_ONLY));
  const devNull = sys.openat(inside, 'null', PATH_ONLY | O_NOFOLLOW);
  sys.close(inside);
  return devNull;
}

/** Changes the size of the /dev/shm that waits. */
export function resizeShm(sys: Syscalls, bytes: number): void {
  const flags = MS_REMOUNT | MS_NOSUID | MS_NODEV | MS_NOEXEC;
  const options = `size=${bytes},nr_inodes=${defaultInodes(bytes)}`;
  sys.mount(null, 'dev/shm', null, flags, options);
}

function mountProc(sys: Syscalls, devNull: number): void {
  const proc = newMount(sys, { type: 'proc', options: {}, attributes: NO_ESCALATION });
  const inside = sys.fcntl(proc, F_DUPFD_CLOEXEC, 0);
  attach(sys, proc, sys.openat(AT_FDCWD, 'proc', PATH_ONLY));
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
