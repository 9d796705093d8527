import {
  AT_FDCWD,
  MS_NODEV,
  MS_NOSUID,
  O_CLOEXEC,
  O_CREAT,
  O_EXCL,
  O_WRONLY,
} from '../../kernel/linux-constants.ts';
import type { Syscalls } from '../../kernel/syscall-types.ts';
import type { SkeletonEntry } from '../messages.ts';

const SKELETON = 'skeleton';

/** Mount points that every container has, whatever its image has. */
export const BASE_SKELETON: readonly SkeletonEntry[] = [
  { path: 'dev', kind: 'folder', mode: 0o755 },
  { path: 'proc', kind: 'folder', mode: 0o555 },
  { path: 'sys', kind: 'folder', mode: 0o555 },
  { path: 'tmp', kind: 'folder', mode: 0o1777 },
];

/**
 * The parts of a root that no image changes, made in the working folder ahead of a start: the lowest
 * layer with mount points, and an upper layer in memory, which gets its size with the image.
 */
export function makeRootParts(sys: Syscalls, uidBase: number): void {
  sys.mkdirat(AT_FDCWD, SKELETON, 0o755);
  sys.fchownat(AT_FDCWD, SKELETON, uidBase, uidBase, 0);
  addToSkeleton(sys, BASE_SKELETON, uidBase);
  sys.mkdirat(AT_FDCWD, 'rw', 0o755);
  sys.mount('hearth', 'rw', 'tmpfs', MS_NOSUID | MS_NODEV, 'mode=0755,size=4096');
  for (const folder of ['rw/upper', 'rw/upper.work']) sys.mkdirat(AT_FDCWD, folder, 0o755);
  sys.fchownat(AT_FDCWD, 'rw/upper', uidBase, uidBase, 0);
}

/** Further mount points; parents come before their children. */
export function addToSkeleton(
  sys: Syscalls,
  entries: readonly SkeletonEntry[],
  uidBase: number,
): void {
  for (const entry of entries) {
    const path = `${SKELETON}/${entry.path}`;
    if (entry.kind === 'folder') sys.mkdirat(AT_FDCWD, path, entry.mode);
    else sys.close(sys.openat(AT_FDCWD, path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, entry.mode));
    sys.fchownat(AT_FDCWD, path, uidBase, uidBase, 0);
  }
}
