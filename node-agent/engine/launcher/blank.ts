import { AT_FDCWD, CLONE_NEWPID, O_CLOEXEC, O_RDONLY } from '../linux-constants.ts';
import { processStartTime } from '../process-identity.ts';
import type { Syscalls } from '../syscall-types.ts';
import { enterFolder, execute, resetSignals } from './execute.ts';
import { FrameReader } from './frames.ts';
import { type BlankView, becomeBlank, isolate } from './isolate.ts';
import type { BlankPlan, StartPlan } from './messages.ts';
import { enterNetwork } from './network-namespace.ts';
import { failureOf, SAID_EXECUTING, SAID_READY } from './outcome.ts';
import { closeFrom, installStreams, openStreams, park } from './standard-streams.ts';
import type { UserNamespaces } from './user-namespaces.ts';

/** A forked process that waits in its own namespaces and cgroups for what it shall run. */
export interface Blank {
  pid: number;
  startTime: string;
  /** Takes one frame: the StartPlan. */
  planFd: number;
  /** See outcome.ts. */
  outcomeFd: number;
}

/** What every container of this launcher shares. */
export interface LauncherContext {
  sys: Syscalls;
  users: UserNamespaces;
  filter: Buffer;
  /** For those that are given a listening socket. */
  listenerFilter: Buffer;
}

const CHILD_FAILED = 127;
const FIRST_OWN_FD = 3;
const READ_BYTES = 65_536;

/**
 * Forks a child that is PID 1 of a new namespace. The launcher's own "namespace for children" is put
 * back at once, as a second unshare without it is EINVAL.
 */
export function forkBlank(context: LauncherContext, plan: BlankPlan): Blank {
  const { sys } = context;
  const userns = context.users.get(plan.uidBase);
  const outcome = sys.pipe2(O_CLOEXEC);
  const orders = sys.pipe2(O_CLOEXEC);
  const own = sys.openat(AT_FDCWD, '/proc/self/ns/pid', O_RDONLY | O_CLOEXEC);
  try {
    const pid = forkIntoNewPidNamespace(sys, own);
    if (pid === 0) {
      const fds = { userns, planFd: orders.read, outcomeFd: outcome.write };
      liveAsBlank(context, plan, fds);
    }
    const startTime = processStartTime(pid);
    return { pid, startTime, planFd: orders.write, outcomeFd: outcome.read };
  } catch (error) {
    sys.close(outcome.read);
    sys.close(orders.write);
    throw error;
  } finally {
    for (const fd of [outcome.write, orders.read, own]) sys.close(fd);
  }
}

function forkIntoNewPidNamespace(sys: Syscalls, own: number): number {
  sys.unshare(CLONE_NEWPID);
  let pid: number;
  try {
    pid = sys.fork();
  } catch (error) {
    sys.setns(own, CLONE_NEWPID);
    throw error;
  }
  if (pid !== 0) sys.setns(own, CLONE_NEWPID);
  return pid;
}

interface BlankFds {
  userns: number;
  planFd: number;
  outcomeFd: number;
}

/** The child's whole life in JavaScript. It never returns to the launcher's loop. */
function liveAsBlank(context: LauncherContext, plan: BlankPlan, given: BlankFds): never {
  const { sys } = context;
  const state = { step: 'close descriptors', outcomeFd: given.outcomeFd };
  try {
    state.outcomeFd = park(sys, given.outcomeFd);
    const [userns, planFd] = [park(sys, given.userns), park(sys, given.planFd)];
    // Other blanks' orders among them: their end must be the launcher's alone
    closeFrom(sys, FIRST_OWN_FD, [userns, planFd, state.outcomeFd]);
    const step = (name: string): void => {
      state.step = name;
    };
    const view = becomeBlank(sys, plan, step);
    sys.write(state.outcomeFd, Buffer.from(SAID_READY));
    const startPlan = readPlan(sys, planFd);
    // The launcher has ended: nobody will come any more
    if (startPlan === undefined) return sys.exit(0);
    return becomeProgram(context, startPlan, {
      ...view,
      userns,
      outcomeFd: state.outcomeFd,
      step,
    });
  } catch (error) {
    return dieTelling(sys, state.outcomeFd, JSON.stringify(failureOf(state.step, error)));
  }
}

/** From a blank to the program; all of it is on the path of a waiting request. */
export function becomeProgram(
  context: LauncherContext,
  plan: StartPlan,
  given: BlankView & { userns: number; outcomeFd: number; step: (name: string) => void },
): never {
  const { sys } = context;
  const filter = plan.listenPath === undefined ? context.filter : context.listenerFilter;
  const { step, outcomeFd, hostRoot } = given;
  step('enter network');
  // Before any socket is made: one keeps the network it was made in, and shows that one's addresses
  enterNetwork(sys, plan.netns, hostRoot);
  sys.close(hostRoot);
  step('open streams');
  const streams = openStreams(sys, plan);
  isolate(sys, plan, { ...given, filter });
  step('close descriptors');
  installStreams(sys, streams, outcomeFd);
  step('enter working folder');
  enterFolder(sys, plan.cwd);
  step('execute');
  resetSignals(sys);
  sys.write(outcomeFd, Buffer.from(SAID_EXECUTING));
  return execute(sys, plan);
}

/** Blocks until the launcher has written a whole plan; undefined at the end of the pipe. */
function readPlan(sys: Syscalls, planFd: number): StartPlan | undefined {
  const frames = new FrameReader();
  const chunk = Buffer.alloc(READ_BYTES);
  for (;;) {
    const length = sys.read(planFd, chunk);
    if (length === 0) return undefined;
    const [plan] = frames.push(chunk.subarray(0, length));
    if (plan !== undefined) return plan as StartPlan;
  }
}

/** `_exit`: Node's own exit joins threads that do not exist in a fork. */
function dieTelling(sys: Syscalls, outcomeFd: number, text: string): never {
  try {
    sys.write(outcomeFd, Buffer.from(text));
  } finally {
    sys.exit(CHILD_FAILED);
  }
  throw new Error('unreachable');
}
