import {
  AT_FDCWD,
  CLONE_NEWNS,
  MS_NODEV,
  MS_NOSUID,
  MS_PRIVATE,
  MS_REC,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_PATH,
  O_WRONLY,
  PR_SET_DUMPABLE,
  PR_SET_PDEATHSIG,
} from '../../kernel/linux-constants.ts';
import type { Syscalls } from '../../kernel/syscall-types.ts';
import type { LauncherContext } from '../blank.ts';
import { resetSignals } from '../execute.ts';
import { cloneHostMounts } from '../mounts/host-mounts.ts';
import { mountRoot } from '../mounts/root-file-system.ts';
import { mountOverRoot } from '../mounts/root-mounts.ts';
import { makeRootParts } from '../mounts/root-parts.ts';
import { mountSys } from '../mounts/sys-mount.ts';
import { enterNetwork } from '../network-namespace.ts';
import { failureOf, SAID_EXECUTING } from '../outcome.ts';
import { closeFrom, installStreams, openStreams, park } from '../standard-streams.ts';
import { writeText } from '../user-namespaces.ts';
import type { RuntimePlan } from './runtime-messages.ts';
import { checkProgram } from './runtime-program.ts';

const SIGKILL = 9;
const CHILD_FAILED = 127;
const FIRST_OWN_FD = 3;
const STAGING_BYTES = 8 * 1024 * 1024;
const ENVIRONMENT = ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'];

/** A forked process on its way to become the program of an OCI runtime. */
export interface RuntimeChild {
  pid: number;
  /** See outcome.ts; ends when the runtime's program is executed. */
  outcomeFd: number;
}

/** Forks it; it stays in the host's pid namespace, where the runtime finds its own files in /proc. */
export function forkRuntime(context: LauncherContext, plan: RuntimePlan): RuntimeChild {
  const { sys } = context;
  const userns = context.users.get(plan.start.uidBase);
  const outcome = sys.pipe2(O_CLOEXEC);
  try {
    const pid = sys.fork();
    if (pid === 0) becomeRuntime(sys, plan, { userns, outcomeFd: outcome.write });
    return { pid, outcomeFd: outcome.read };
  } catch (error) {
    sys.close(outcome.read);
    throw error;
  } finally {
    sys.close(outcome.write);
  }
}

/** The child's whole life in JavaScript. It never returns to the launcher's loop. */
function becomeRuntime(
  sys: Syscalls,
  plan: RuntimePlan,
  given: { userns: number; outcomeFd: number },
): never {
  const state = { step: 'close descriptors', outcomeFd: given.outcomeFd };
  const step = (name: string): void => {
    state.step = name;
  };
  try {
    state.outcomeFd = park(sys, given.outcomeFd);
    const userns = park(sys, given.userns);
    closeFrom(sys, FIRST_OWN_FD, [userns, state.outcomeFd]);
    return prepareAndExecute(sys, plan, { userns, outcomeFd: state.outcomeFd, step });
  } catch (error) {
    sys.write(state.outcomeFd, Buffer.from(JSON.stringify(failureOf(state.step, error))));
    return sys.exit(CHILD_FAILED);
  }
}

/** Each line depends on those above it. */
function prepareAndExecute(
  sys: Syscalls,
  plan: RuntimePlan,
  given: { userns: number; outcomeFd: number; step: (name: string) => void },
): never {
  const { step, userns, outcomeFd } = given;
  const { start } = plan;
  step('begin');
  // A runtime must not finish a container of which no engine knows any more
  sys.prctl(PR_SET_PDEATHSIG, SIGKILL);
  sys.prctl(PR_SET_DUMPABLE, 0);
  sys.umask(0);
  sys.setsid();
  step('join cgroups');
  for (const folder of plan.cgroups) writeText(sys, `${folder}/cgroup.procs`, '0');
  step('enter network');
  const hostRoot = sys.openat(AT_FDCWD, '/', O_PATH | O_DIRECTORY | O_CLOEXEC);
  // Before any socket is made: one keeps the network it was made in, and shows that one's addresses
  enterNetwork(sys, start.netns, hostRoot);
  const clones = cloneHostMounts(sys, start.mounts, { hostRoot, userns, step });
  sys.close(hostRoot);
  step('open streams');
  const streams = openStreams(sys, start);
  step('mount layers');
  sys.unshare(CLONE_NEWNS);
  sys.mount(null, '/', null, MS_REC | MS_PRIVATE, null);
  // Its root is a folder for the container's own users, who must reach it
  const options = `mode=0711,size=${STAGING_BYTES}`;
  sys.mount('hearth', plan.bundleDir, 'tmpfs', MS_NOSUID | MS_NODEV, options);
  sys.chdir(plan.bundleDir);
  sys.mkdirat(AT_FDCWD, 'root', 0o755);
  makeRootParts(sys, start.uidBase);
  mountRoot(sys, start, userns);
  mountSys(sys, { uidBase: start.uidBase, cgroupViews: plan.cgroupViews });
  mountOverRoot(sys, start, { userns, clones, step, system: ['sys'] });
  checkProgram(sys, start, step);
  step('write config');
  writeConfig(sys, plan.config);
  step('close descriptors');
  installStreams(sys, streams, outcomeFd);
  step('execute the runtime');
  sys.umask(0o022);
  resetSignals(sys);
  sys.write(outcomeFd, Buffer.from(SAID_EXECUTING));
  return sys.execve(plan.program, plan.argv, ENVIRONMENT);
}

/** In memory, and only in this mount namespace: a config holds variables, which are secrets. */
function writeConfig(sys: Syscalls, text: string): void {
  const fd = sys.openat(AT_FDCWD, 'config.json', O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0o600);
  let rest = Buffer.from(text);
  while (rest.length > 0) rest = rest.subarray(sys.write(fd, rest));
  sys.close(fd);
}
