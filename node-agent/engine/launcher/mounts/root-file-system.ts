import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  MOUNT_ATTR_IDMAP,
  MOUNT_ATTR_NOATIME,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_RDONLY,
  MOVE_MOUNT_F_EMPTY_PATH,
  MS_NODEV,
  MS_NOSUID,
  MS_REMOUNT,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
} from '../../kernel/linux-constants.ts';
import type { Syscalls } from '../../kernel/syscall-types.ts';
import type { StartPlan, UpperPlan } from '../messages.ts';
import { newMount } from './detached-mount.ts';
import { openLoopDevice } from './loop-device.ts';
import { asRangeOwner } from './range-owner.ts';
import { addToSkeleton } from './root-parts.ts';

const CLONE = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
const SAFE = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;

/**
 * Mounts the container's root as `root` in the staging tmpfs, which is the working folder, holds what
 * `makeRootParts` made, and can be seen in this mount namespace only. Each layer is a detached clone
 * of its folder on which uid 0 is the container's uid 0 (mount_setattr(2), MOUNT_ATTR_IDMAP), so
 * layers are shared by all containers and never chowned; the overlay over them is mounted from
 * outside the user namespace. The upper layer is mapped the same way: its files carry the image's
 * ids on disk.
 */
export function mountRoot(sys: Syscalls, plan: StartPlan, userns: number): void {
  addToSkeleton(sys, plan.skeleton, plan.uidBase);
  plan.layers.forEach((layer, n) => {
    sys.mkdirat(AT_FDCWD, `l${n}`, 0o755);
    attachMapped(sys, { source: layer, target: `l${n}`, userns, readOnly: true });
  });
  const upper = makeUpper(sys, plan.upper, { userns, uidBase: plan.uidBase });
  const options = overlayOptions(plan.layers.length, upper);
  asRangeOwner(sys, plan.uidBase, () => {
    sys.mount('overlay', 'root', 'overlay', MS_NOSUID | MS_NODEV, options);
  });
}

/**
 * Options of the overlay, paths relative to the staging folder so that 127 layers stay below the
 * kernel's 4 KiB. Redirects and metadata-only copies are off: an upper layer then holds plain
 * files, whiteouts and opaque folders, which is what an image layer can say.
 */
export function overlayOptions(
  layerCount: number,
  upper: { name: string; volatile: boolean },
): string {
  const lower: string[] = [];
  for (let n = layerCount - 1; n >= 0; n--) lower.push(`l${n}`);
  lower.push('skeleton');
  const options = [
    `lowerdir=${lower.join(':')}`,
    `upperdir=rw/${upper.name}`,
    `workdir=rw/${upper.name}.work`,
    'redirect_dir=off',
    'index=off',
    'metacopy=off',
    'xino=off',
  ];
  if (upper.volatile) options.push('volatile');
  return options.join(',');
}

function makeUpper(
  sys: Syscalls,
  upper: UpperPlan,
  ids: { userns: number; uidBase: number },
): { name: string; volatile: boolean } {
  if (upper.kind === 'folder') {
    attachMapped(sys, { source: upper.parent, target: 'rw', userns: ids.userns, readOnly: false });
    return { name: upper.name, volatile: false };
  }
  // Both end with the container and cannot outgrow their size; what lies ready at `rw` is covered or grows
  if (upper.kind === 'disk') {
    mountDisk(sys, upper.image, ids.userns);
    asRangeOwner(sys, ids.uidBase, () => {
      for (const folder of ['rw/upper', 'rw/upper.work']) sys.mkdirat(AT_FDCWD, folder, 0o755);
    });
  } else {
    const options = `size=${upper.bytes},nr_inodes=${upper.inodes}`;
    sys.mount(null, 'rw', null, MS_REMOUNT | MS_NOSUID | MS_NODEV, options);
  }
  return { name: 'upper', volatile: true };
}

/**
 * Mounts the ext4 of a file in this mount namespace alone: its loop device goes with the last
 * process that sees it, so that nothing of it is left on the host whoever dies.
 */
function mountDisk(sys: Syscalls, image: string, userns: number): void {
  const device = openLoopDevice(sys, image);
  const options = { source: device.path, errors: 'remount-ro', noinit_itable: undefined };
  const mount = newMount(sys, { type: 'ext4', options, attributes: SAFE | MOUNT_ATTR_NOATIME });
  sys.close(device.fd);
  sys.mountSetattr(mount, '', AT_EMPTY_PATH, { set: MOUNT_ATTR_IDMAP, userns });
  sys.moveMount(mount, '', AT_FDCWD, 'rw', MOVE_MOUNT_F_EMPTY_PATH);
  sys.close(mount);
}

function attachMapped(
  sys: Syscalls,
  mount: { source: string; target: string; userns: number; readOnly: boolean },
): void {
  const fd = cloneMapped(sys, mount);
  sys.moveMount(fd, '', AT_FDCWD, mount.target, MOVE_MOUNT_F_EMPTY_PATH);
  sys.close(fd);
}

/** A detached clone of a host folder with the container's ids. */
export function cloneMapped(
  sys: Syscalls,
  mount: { source: string; userns: number; readOnly: boolean },
): number {
  const fd = sys.openTree(AT_FDCWD, mount.source, CLONE);
  const set = MOUNT_ATTR_IDMAP | SAFE | (mount.readOnly ? MOUNT_ATTR_RDONLY : 0);
  sys.mountSetattr(fd, '', AT_EMPTY_PATH, { set, userns: mount.userns });
  return fd;
}
