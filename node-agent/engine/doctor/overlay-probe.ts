import { FSOPEN_CLOEXEC } from '../kernel/linux-constants.ts';
import { syscalls as sys } from '../kernel/syscalls.ts';

/**
 * Asks for the overlay file system as a mount would, which loads its module where the kernel keeps
 * it as one (fsopen(2)). Nothing is mounted. @throws SyscallError ENODEV when there is none
 */
export function probeOverlay(): void {
  sys.close(sys.fsopen('overlay', FSOPEN_CLOEXEC));
}
