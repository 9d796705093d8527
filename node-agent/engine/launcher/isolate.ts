import {
  CLONE_NEWCGROUP,
  CLONE_NEWIPC,
  CLONE_NEWNS,
  CLONE_NEWUTS,
  MNT_DETACH,
  MS_PRIVATE,
  MS_REC,
  PR_SET_DUMPABLE,
  RLIMIT_CORE,
  RLIMIT_NOFILE,
} from '../linux-constants.ts';
import type { Syscalls } from '../syscall-types.ts';
import { becomeUser } from './credentials.ts';
import type { StartPlan } from './messages.ts';
import { enterNetwork } from './network-namespace.ts';
import { mountRoot } from './root-file-system.ts';
import { mountOverRoot } from './root-mounts.ts';
import { writeText } from './user-namespaces.ts';

/** What isolation needs beside the plan. */
export interface IsolationInputs {
  /** Descriptor of the container's user namespace. */
  userns: number;
  /** The syscall filter of every container. */
  filter: Buffer;
}

/**
 * Takes the calling process, just forked and PID 1 of its namespace, from the host into its
 * container. Each line depends on those above it; `step` hears the name of each before it is done.
 * Afterwards the process is the container's user and can only close descriptors, change folder and
 * execute.
 */
export function isolate(
  sys: Syscalls,
  plan: StartPlan,
  inputs: IsolationInputs & { step: (name: string) => void },
): void {
  const { step, userns, filter } = inputs;
  step('hide from other processes');
  // Until it has left the host, /proc/<pid>/{root,cwd,fd,exe} are doors to it
  sys.prctl(PR_SET_DUMPABLE, 0);
  sys.umask(0);
  sys.setsid();
  step('join cgroups');
  // Before anything is allocated, and before the cgroup namespace takes this as its root
  for (const folder of plan.cgroups) writeText(sys, `${folder}/cgroup.procs`, '0');
  step('enter network');
  enterNetwork(sys, plan.netns);
  step('unshare namespaces');
  sys.unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP);
  sys.mount(null, '/', null, MS_REC | MS_PRIVATE, null);
  step('mount layers');
  mountRoot(sys, plan, userns);
  step('mount over the root');
  mountOverRoot(sys, plan, userns);
  step('enter root');
  sys.sethostname(plan.hostname);
  enterRoot(sys);
  step('set limits');
  sys.setrlimit(RLIMIT_NOFILE, plan.openFiles, plan.openFiles);
  sys.setrlimit(RLIMIT_CORE, 0, 0);
  step('become user');
  becomeUser(sys, plan, userns);
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
