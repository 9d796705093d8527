import {
  AT_FDCWD,
  CLONE_NEWCGROUP,
  CLONE_NEWIPC,
  CLONE_NEWNS,
  CLONE_NEWUTS,
  MNT_DETACH,
  MS_NODEV,
  MS_NOSUID,
  MS_PRIVATE,
  MS_REC,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  O_RDONLY,
  PR_SET_DUMPABLE,
  RLIMIT_CORE,
  RLIMIT_NOFILE,
} from '../kernel/linux-constants.ts';
import { SyscallError, type Syscalls } from '../kernel/syscall-types.ts';
import { becomeUser } from './credentials.ts';
import { resetSignals } from './execute.ts';
import type { BlankPlan, StartPlan } from './messages.ts';
import { mountRoot } from './mounts/root-file-system.ts';
import { mountOverRoot } from './mounts/root-mounts.ts';
import { makeRootParts } from './mounts/root-parts.ts';
import { mountSystem } from './mounts/system-mounts.ts';
import { writeText } from './user-namespaces.ts';

/** When the machine itself is out of memory, containers end before its daemons: proc(5). */
export const OOM_SCORE_ADJ = '500';
const STAGING_BYTES = 4 * 1024 * 1024;

/** Descriptors that lead back to the host. */
export interface HostDoors {
  /** Its root folder. */
  hostRoot: number;
  /** Its mount namespace. */
  hostMounts: number;
}

/** What a blank still holds of the host. */
export interface BlankView extends HostDoors {
  /** Descriptor of its staging folder, a tmpfs that only it can see. */
  staging: number;
}

/** Networks of all containers, and the host's cgroups. */
const BUSY_MOUNTS = ['/run/netns', '/sys'];

/** Hears the name of each step before it is done. */
type Step = (name: string) => void;

/**
 * The way from the host into a container has three parts; each line depends on those above it. The
 * first two are done ahead, as no image can change them. This one is PID 1's of the namespace just
 * made, right after its fork; the program's process, forked next, has all of it too. Answers the ways back.
 */
export function leaveHost(sys: Syscalls, blank: BlankPlan, step: Step): HostDoors {
  step('hide from other processes');
  // Until it has left the host, /proc/<pid>/{root,cwd,fd,exe} are doors to it
  sys.prctl(PR_SET_DUMPABLE, 0);
  sys.umask(0);
  sys.setsid();
  step('join cgroups');
  // Before anything is allocated, and before the cgroup namespace takes this as its root. The first
  // process to join after a quiet moment waits for all cpus: 6 to 17 ms, the longest step of all
  for (const folder of blank.cgroups) writeText(sys, `${folder}/cgroup.procs`, '0');
  step('stand behind daemons');
  writeText(sys, '/proc/self/oom_score_adj', OOM_SCORE_ADJ);
  step('unshare namespaces');
  const hostRoot = sys.openat(AT_FDCWD, '/', O_PATH | O_DIRECTORY | O_CLOEXEC);
  const hostMounts = sys.openat(AT_FDCWD, '/proc/self/ns/mnt', O_RDONLY | O_CLOEXEC);
  sys.unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP);
  sys.mount(null, '/', null, MS_REC | MS_PRIVATE, null);
  // pivot_root(2) takes PID 1 along into the container's root only from the old root itself
  sys.chdir('/');
  return { hostRoot, hostMounts };
}

/** The second part, in the process that will be the program. */
export function becomeBlank(
  sys: Syscalls,
  blank: BlankPlan,
  given: HostDoors & { step: Step },
): BlankView {
  const { hostMounts, hostRoot, step } = given;
  sys.setsid();
  resetSignals(sys);
  step('mount /dev, /proc and /sys');
  const options = `mode=0700,size=${STAGING_BYTES}`;
  sys.mount('hearth', blank.stagingDir, 'tmpfs', MS_NOSUID | MS_NODEV, options);
  const staging = sys.openat(AT_FDCWD, blank.stagingDir, O_PATH | O_DIRECTORY | O_CLOEXEC);
  sys.fchdir(staging);
  sys.mkdirat(AT_FDCWD, 'root', 0o755);
  makeRootParts(sys, blank.uidBase);
  mountSystem(sys, blank);
  leaveBusyMounts(sys);
  return { hostRoot, hostMounts, staging };
}

/**
 * Lets go of mounts that a start does not need and of which a host may have a thousand: all that are
 * left are let go of while it waits. The host's own stay as they are.
 */
function leaveBusyMounts(sys: Syscalls): void {
  for (const path of BUSY_MOUNTS) {
    try {
      sys.umount2(path, MNT_DETACH);
    } catch (error) {
      // This host has nothing mounted there
      if (!(error instanceof SyscallError) || !['EINVAL', 'ENOENT'].includes(error.code))
        throw error;
    }
  }
}

export interface IsolateInputs {
  staging: number;
  userns: number;
  filter: Buffer;
  /** See cloneHostMounts. */
  clones: readonly (number | undefined)[];
  step: Step;
}

/**
 * The last part, from a blank in its network into its container. Afterwards the process is the container's user, and
 * can only close descriptors, change folder and execute. `userns` is the descriptor of its user
 * namespace, `filter` the syscall filter of every container.
 */
export function isolate(sys: Syscalls, plan: StartPlan, inputs: IsolateInputs): void {
  const { clones, step, userns, filter, staging } = inputs;
  step('mount layers');
  // What follows makes and mounts by relative names: nothing of it may touch a folder of the host
  sys.fchdir(staging);
  mountRoot(sys, plan, userns);
  mountOverRoot(sys, plan, { userns, clones, step });
  step('enter root');
  sys.sethostname(plan.hostname);
  enterRoot(sys);
  step('set limits');
  sys.setrlimit(RLIMIT_NOFILE, plan.openFiles, plan.openFiles);
  sys.setrlimit(RLIMIT_CORE, 0, 0);
  step('become user');
  becomeUser(sys, plan, userns);
  // A change of ids sets it to what the host's fs.suid_dumpable says
  sys.prctl(PR_SET_DUMPABLE, 0);
  step('load seccomp filter');
  sys.seccompSetFilter(filter);
  sys.umask(0o022);
}

/** pivot_root(2), "pivot_root(".", ".")": the old root ends up above the new one and is let go. */
function enterRoot(sys: Syscalls): void {
  sys.chdir('root');
  sys.pivotRoot('.', '.');
  sys.umount2('.', MNT_DETACH);
  sys.chdir('/');
}
