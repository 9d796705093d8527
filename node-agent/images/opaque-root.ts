import { errnoCode } from '../../lib/errors.ts';
import { syscalls } from '../engine/kernel/syscalls.ts';

/** Whether a layer hides all layers below it: its root carries overlayfs' mark. */
export function isOpaqueRoot(path: string): boolean {
  try {
    return syscalls.lgetxattr(path, 'trusted.overlay.opaque').toString() === 'y';
  } catch (error) {
    if (['ENODATA', 'EOPNOTSUPP', 'ENOTSUP'].includes(errnoCode(error) ?? '')) return false;
    throw error;
  }
}
