import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  CLONE_NEWNS,
  MOUNT_ATTR_IDMAP,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_RDONLY,
  MS_PRIVATE,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  O_RDONLY,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
  RESOLVE_BENEATH,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
} from '../../kernel/linux-constants.ts';
import type { Syscalls } from '../../kernel/syscall-types.ts';
import type { HostMount, UserMount } from './mount-messages.ts';

const CLONE = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH;
const NO_LINKS = RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS;

/** What of the host a start still holds. */
export interface HostView {
  /** Descriptor of its root folder. */
  hostRoot: number;
  /** Descriptor of its mount namespace; absent for a process that has not left it. */
  hostMounts?: number;
  userns: number;
  step: (name: string) => void;
}

/**
 * Detached clones of the host folders and files that a user mounts, by position in `mounts`. The
 * mount namespace of a blank is a copy that knows nothing of what the host has mounted since, and a
 * mount can be cloned only from inside its own namespace: so the process goes back for this.
 */
export function cloneHostMounts(
  sys: Syscalls,
  mounts: readonly UserMount[],
  view: HostView,
): (number | undefined)[] {
  if (!mounts.some(({ kind }) => kind === 'host')) return [];
  if (view.hostMounts === undefined) return cloneAll(sys, mounts, view);
  const own = sys.openat(AT_FDCWD, '/proc/self/ns/mnt', O_RDONLY | O_CLOEXEC);
  sys.setns(view.hostMounts, CLONE_NEWNS);
  const clones = cloneAll(sys, mounts, view);
  sys.setns(own, CLONE_NEWNS);
  sys.close(own);
  return clones;
}

function cloneAll(
  sys: Syscalls,
  mounts: readonly UserMount[],
  view: HostView,
): (number | undefined)[] {
  return mounts.map((mount) => {
    if (mount.kind !== 'host') return undefined;
    view.step(`open ${mount.title}`);
    return cloneHost(sys, mount, view);
  });
}

/**
 * The allowed folder is opened first, then the rest beneath it, neither by any link: whatever a
 * container that shares it puts in the way leads nowhere else (CVE-2021-25741). The clone leaves its
 * peer group, so that nothing mounted on it inside shows on the host.
 */
function cloneHost(sys: Syscalls, mount: HostMount, view: HostView): number {
  const folder = { flags: O_PATH | O_DIRECTORY | O_CLOEXEC, resolve: RESOLVE_IN_ROOT | NO_LINKS };
  const root = sys.openat2(view.hostRoot, mount.root, folder);
  const below = { flags: O_PATH | O_CLOEXEC, resolve: RESOLVE_BENEATH | NO_LINKS };
  const source = mount.path === '' ? root : sys.openat2(root, mount.path, below);
  const clone = sys.openTree(source, '', CLONE);
  const safe = MOUNT_ATTR_IDMAP | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
  const set = safe | (mount.readOnly && !mount.fill ? MOUNT_ATTR_RDONLY : 0);
  view.step(`map ids of ${mount.title}`);
  sys.mountSetattr(clone, '', AT_EMPTY_PATH, {
    set,
    propagation: MS_PRIVATE,
    userns: view.userns,
  });
  if (source !== root) sys.close(source);
  sys.close(root);
  return clone;
}
