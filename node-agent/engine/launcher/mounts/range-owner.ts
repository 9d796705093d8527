import { PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP } from '../../kernel/linux-constants.ts';
import type { Syscalls } from '../../kernel/syscall-types.ts';

/**
 * Does `act` with the container's uid 0 as owner of what is made. On a mapped upper layer only ids
 * of the range exist: a file of host uid 0 would be EOVERFLOW, and an overlay mounted as host uid 0,
 * which makes its own files as whoever mounted it, read-only. The capabilities that the change of
 * ids would take are kept.
 */
export function asRangeOwner<T>(sys: Syscalls, uidBase: number, act: () => T): T {
  sys.prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP);
  sys.setfsgid(uidBase);
  sys.setfsuid(uidBase);
  const result = act();
  sys.setfsuid(0);
  sys.setfsgid(0);
  sys.prctl(PR_SET_SECUREBITS, 0);
  return result;
}
