import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  MOUNT_ATTR_RDONLY,
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
} from '../../kernel/linux-constants.ts';
import { SyscallError, type Syscalls } from '../../kernel/syscall-types.ts';
import type { StartPlan } from '../messages.ts';
import { attach, NO_ESCALATION, PATH_ONLY } from './detached-mount.ts';
import { asRangeOwner } from './range-owner.ts';
import { cloneMapped } from './root-file-system.ts';
import { resizeShm } from './system-mounts.ts';
import { attachUserMounts } from './user-mounts.ts';

/** Real folders of every root: another OCI runtime follows a link there on the host (CVE-2026-41579). */
const SYSTEM = ['dev', 'proc', 'sys'];

/** What goes over a root. */
export interface OverRootInputs {
  userns: number;
  /** Of what the user mounts from the host, by position in the plan's `mounts`: cloneHostMounts. */
  clones: readonly (number | undefined)[];
  /** What waits in the working folder to be mounted there; default all three. */
  system?: readonly string[];
  step: (name: string) => void;
}

/**
 * Everything mounted over the root before it is entered: what the user mounts, the platform's files
 * and folders, then the /dev, /proc and /sys that wait beside it. The image is hostile: each target
 * is a descriptor found by openat2(2) inside the root, and mounts move onto descriptors, so that no
 * path of the image is resolved twice or outside. /dev, /proc and /sys must be real folders.
 */
export function mountOverRoot(sys: Syscalls, plan: StartPlan, inputs: OverRootInputs): void {
  const { clones, step, system = SYSTEM, userns } = inputs;
  const { mounts, uidBase, user } = plan;
  const root = sys.openat(AT_FDCWD, 'root', O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (mounts.length > 0) attachUserMounts(sys, mounts, clones, { root, uidBase, user, step });
  step('mount over the root');
  sys.mkdirat(AT_FDCWD, 'files', 0o755);
  plan.files.forEach((file, n) => {
    const isUsers = mounts.some(({ target }) => file.target.startsWith(`${target}/`));
    mountFile(sys, root, { ...file, staged: `files/${n}`, uidBase, isUsers });
  });
  for (const bind of plan.binds) {
    const target = openFolder(sys, root, bind.target, uidBase);
    attach(sys, cloneMapped(sys, { source: bind.source, userns, readOnly: true }), target);
  }
  if (plan.shmBytes !== undefined && system.includes('dev')) resizeShm(sys, plan.shmBytes);
  for (const name of SYSTEM) {
    const target = openFolder(sys, root, `/${name}`, uidBase);
    if (system.includes(name)) sys.moveMount(AT_FDCWD, name, target, '', MOVE_MOUNT_T_EMPTY_PATH);
    sys.close(target);
  }
  sys.close(root);
}

function openFolder(sys: Syscalls, root: number, path: string, uidBase: number): number {
  const resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS;
  const how = { flags: PATH_ONLY | O_DIRECTORY, resolve };
  try {
    return sys.openat2(root, path, how);
  } catch (error) {
    if (!(error instanceof SyscallError) || error.code !== 'ENOENT') throw error;
  }
  // The image removed what the skeleton layer offers
  const cut = path.lastIndexOf('/');
  const parent = openFolder(sys, root, cut <= 0 ? '/' : path.slice(0, cut), uidBase);
  asRangeOwner(sys, uidBase, () => sys.mkdirat(parent, path.slice(cut + 1), 0o755));
  sys.close(parent);
  return sys.openat2(root, path, how);
}

interface FileMount {
  target: string;
  text: string;
  staged: string;
  uidBase: number;
  /** Whether it lies in something that the user mounts, to which nothing is added. */
  isUsers: boolean;
}

function mountFile(sys: Syscalls, root: number, file: FileMount): void {
  const target = openFileTarget(sys, root, file);
  if (target === undefined) return;
  const fd = sys.openat(AT_FDCWD, file.staged, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0o644);
  const text = Buffer.from(file.text);
  if (text.length > 0) sys.write(fd, text);
  sys.close(fd);
  sys.fchownat(AT_FDCWD, file.staged, file.uidBase, file.uidBase, 0);
  const clone = sys.openTree(AT_FDCWD, file.staged, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  sys.mountSetattr(clone, '', AT_EMPTY_PATH, { set: NO_ESCALATION | MOUNT_ATTR_RDONLY });
  attach(sys, clone, target);
}

/**
 * Links are followed, inside the root only: distributions ship /etc/resolv.conf as one. Undefined
 * where the user's own mount does not have it.
 */
function openFileTarget(sys: Syscalls, root: number, file: FileMount): number | undefined {
  const { isUsers, target: path, uidBase } = file;
  const resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  try {
    return sys.openat2(root, path, { flags: PATH_ONLY, resolve });
  } catch (error) {
    if (!(error instanceof SyscallError) || error.code !== 'ENOENT') throw error;
  }
  if (isUsers) return undefined;
  // Missing, or a link to nowhere: a file of our own takes the name
  const cut = path.lastIndexOf('/');
  const parent = openFolder(sys, root, cut <= 0 ? '/' : path.slice(0, cut), uidBase);
  const name = path.slice(cut + 1);
  try {
    sys.unlinkat(parent, name, 0);
  } catch (error) {
    if (!(error instanceof SyscallError) || error.code !== 'ENOENT') throw error;
  }
  asRangeOwner(sys, uidBase, () => {
    sys.close(sys.openat(parent, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0o644));
  });
  const fd = sys.openat(parent, name, PATH_ONLY | O_NOFOLLOW);
  sys.close(parent);
  return fd;
}
