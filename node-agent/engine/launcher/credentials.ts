import { readFileSync } from 'node:fs';
import {
  CLONE_NEWUSER,
  PR_CAP_AMBIENT,
  PR_CAP_AMBIENT_CLEAR_ALL,
  PR_CAPBSET_DROP,
  PR_SET_NO_NEW_PRIVS,
} from '../kernel/linux-constants.ts';
import type { Syscalls } from '../kernel/syscall-types.ts';
import { capabilityBits } from '../seccomp/capabilities.ts';
import type { StartPlan } from './messages.ts';

/** The kernel's last capability (capabilities(7)), which may be beyond those that have names here. */
const LAST_CAPABILITY = Number(readFileSync('/proc/sys/kernel/cap_last_cap', 'utf8'));

/**
 * Becomes the container's user. Entering the user namespace gives every capability inside it and
 * takes those over the namespaces made before, so all mounts are done by now. Groups go first, as
 * they need CAP_SETGID; the ids here are the namespace's own.
 */
export function becomeUser(
  sys: Syscalls,
  plan: Pick<StartPlan, 'user' | 'capabilities'>,
  userns: number,
): void {
  sys.setns(userns, CLONE_NEWUSER);
  const { uid, gid, groups } = plan.user;
  sys.setgroups(groups);
  sys.setresgid(gid, gid, gid);
  dropBoundingSet(sys, plan.capabilities);
  sys.setresuid(uid, uid, uid);
  sys.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL);
  const kept = uid === 0 ? capabilityBits(plan.capabilities) : 0n;
  sys.capset({ effective: kept, permitted: kept, inheritable: 0n });
  sys.prctl(PR_SET_NO_NEW_PRIVS, 1);
}

/** All that the kernel has but those kept: asking for one that it lacks would be an error to make. */
function dropBoundingSet(sys: Syscalls, kept: readonly number[]): void {
  for (let number = 0; number <= LAST_CAPABILITY; number++) {
    if (!kept.includes(number)) sys.prctl(PR_CAPBSET_DROP, number);
  }
}
