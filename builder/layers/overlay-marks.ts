import type { Stats } from 'node:fs';
import { SyscallError, syscalls } from '../../node-agent/engine/syscalls.ts';

/** A whiteout of overlayfs, which hides a lower name: character device 0:0 (overlayfs.rst). */
export function isWhiteout(stat: Stats): boolean {
  return stat.isCharacterDevice() && stat.rdev === 0;
}

const OPAQUE = ['trusted.overlay.opaque', 'user.overlay.opaque'];

/** Whether a directory of an upper layer hides all that lower layers have in it (overlayfs.rst). */
export function isOpaque(folder: string): boolean {
  return OPAQUE.some((name) => attribute(folder, name) === 'y');
}

function attribute(path: string, name: string): string | undefined {
  try {
    return syscalls.lgetxattr(path, name).toString();
  } catch (error) {
    const absent = error instanceof SyscallError && ['ENODATA', 'ENOTSUP'].includes(error.code);
    if (absent) return undefined;
    throw error;
  }
}
