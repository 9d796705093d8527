import type { Stats } from 'node:fs';
import { SyscallError, syscalls } from '../../node-agent/engine/kernel/syscalls.ts';

/** A whiteout of overlayfs, which hides a lower name: character device 0:0 (overlayfs.rst). */
export function isWhiteout(stat: Stats): boolean {
  return stat.isCharacterDevice() && stat.rdev === 0;
}

/** The engine mounts without `userxattr`: only this one counts, and no container can set it. */
const OPAQUE = 'trusted.overlay.opaque';

/** Whether a directory of an upper layer hides all that lower layers have in it (overlayfs.rst). */
export function isOpaque(folder: string): boolean {
  try {
    return syscalls.lgetxattr(folder, OPAQUE).toString() === 'y';
  } catch (error) {
    const isAbsent = error instanceof SyscallError && ['ENODATA', 'ENOTSUP'].includes(error.code);
    if (isAbsent) return false;
    throw error;
  }
}
