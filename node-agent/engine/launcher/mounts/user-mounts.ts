import {
  AT_EMPTY_PATH,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_RDONLY,
  S_IFDIR,
  S_IFMT,
} from '../../kernel/linux-constants.ts';
import type { Syscalls } from '../../kernel/syscall-types.ts';
import { attach, newMount } from './detached-mount.ts';
import { fillVolume } from './fill-volume.ts';
import type { TmpfsMount, UserMount } from './mount-messages.ts';
import { openMountPoint } from './mount-point.ts';

/** What the mounts of a user go onto. */
export interface MountTargets {
  /** Descriptor of the container's root folder, not entered yet. */
  root: number;
  uidBase: number;
  /** The program's, to whom a folder belongs that the image does not have. */
  user: { uid: number; gid: number };
  step: (name: string) => void;
}

/**
 * Mounts what a user asked for, in this order, so that a later one may lie in an earlier one. /dev,
 * /proc and /sys come afterwards: a link of the image that leads there is covered by them.
 */
export function attachUserMounts(
  sys: Syscalls,
  mounts: readonly UserMount[],
  clones: readonly (number | undefined)[],
  targets: MountTargets,
): void {
  mounts.forEach((mount, n) => {
    targets.step(`mount ${mount.title}`);
    if (mount.kind === 'tmpfs') {
      const target = openMountPoint(sys, targets, { path: mount.target, kind: 'folder' });
      attach(sys, newTmpfs(sys, mount, targets.uidBase), target);
      return;
    }
    const clone = clones[n];
    if (clone === undefined) throw new Error('no clone to mount');
    const kind = (sys.fstat(clone).mode & S_IFMT) === S_IFDIR ? 'folder' : 'file';
    const target = openMountPoint(sys, targets, { path: mount.target, kind });
    if (mount.fill) fillVolume(sys, { image: target, volume: clone, uidBase: targets.uidBase });
    if (mount.readOnly) {
      sys.mountSetattr(clone, '', AT_EMPTY_PATH, { set: MOUNT_ATTR_RDONLY });
    }
    attach(sys, clone, target);
  });
}

/** In memory, counted as the container's; without programs, as Docker's are. */
function newTmpfs(sys: Syscalls, mount: TmpfsMount, uidBase: number): number {
  const owner = String(uidBase);
  const options = {
    mode: '1777',
    size: String(mount.sizeBytes),
    nr_inodes: String(mount.inodes),
    uid: owner,
    gid: owner,
  };
  const attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  return newMount(sys, { type: 'tmpfs', options, attributes });
}
