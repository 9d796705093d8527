import {
  AT_FDCWD,
  CLONE_NEWPID,
  O_APPEND,
  O_CLOEXEC,
  O_CREAT,
  O_RDONLY,
  O_WRONLY,
} from '../kernel/linux-constants.ts';
import { processStartTime } from '../kernel/process-identity.ts';
import type { Syscalls } from '../kernel/syscall-types.ts';
import { enterFolder, execute } from './execute.ts';
import { FrameReader } from './frames.ts';
import { becomeInit, type InitParts } from './init/init.ts';
import { type BlankView, becomeBlank, type HostDoors, isolate, leaveHost } from './isolate.ts';
import { awaitHolder, holdMemory, type MemoryHolder } from './memory-holder.ts';
import type { BlankPlan, StartFailure, StartPlan } from './messages.ts';
import { cloneHostMounts } from './mounts/host-mounts.ts';
import { enterNetwork } from './network-namespace.ts';
import { failureOf, RefusedStep, SAID_EXECUTING, sayReady } from './outcome.ts';
import { hideArguments } from './program-title.ts';
import { closeFrom, installStreams, openStreams, park } from './standard-streams.ts';
import { stepper } from './steps.ts';
import type { UserNamespaces } from './user-namespaces.ts';

/** A forked process that waits in its own namespaces and cgroups for what it shall run. */
export interface Blank {
  /** Its init: PID 1 of its namespace, and the launcher's child. */
  pid: number;
  pidfd: number;
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
  init: InitParts;
  holder: MemoryHolder;
  /** Walks the way to a program without doing anything. */
  rehearse: () => void;
  filter: Buffer;
  /** For those that are given a listening socket. */
  listenerFilter: Buffer;
}

const CHILD_FAILED = 127;
const SIGKILL = 9;
const FIRST_OWN_FD = 3;
const READ_BYTES = 65_536;

/**
 * Forks a child that is PID 1 of a new namespace. The launcher's own "namespace for children" is put
 * back at once, as a second unshare without it is EINVAL.
 */
export function forkBlank(context: LauncherContext, plan: BlankPlan): Blank {
  const { sys } = context;
  const userns = context.users.get(plan.uidBase);
  const [temporary, kept]: number[][] = [[], []] as const;
  try {
    const exitFd = openExitFile(sys, plan.exitFile);
    temporary.push(exitFd);
    const outcome = sys.pipe2(O_CLOEXEC);
    temporary.push(outcome.write);
    kept.push(outcome.read);
    const orders = sys.pipe2(O_CLOEXEC);
    temporary.push(orders.read);
    kept.push(orders.write);
    const own = sys.openat(AT_FDCWD, '/proc/self/ns/pid', O_RDONLY | O_CLOEXEC);
    temporary.push(own);
    const pid = forkIntoNewPidNamespace(sys, own);
    if (pid === 0) {
      const fds = { userns, exitFd, planFd: orders.read, outcomeFd: outcome.write };
      liveAsFirst(context, plan, fds);
    }
    return { ...describeChild(sys, pid), planFd: orders.write, outcomeFd: outcome.read };
  } catch (error) {
    for (const fd of kept) sys.close(fd);
    throw error;
  } finally {
    for (const fd of temporary) sys.close(fd);
  }
}

/** What to know a child by; without it, nobody could wait for it, and it ends here. */
function describeChild(sys: Syscalls, pid: number): Pick<Blank, 'pid' | 'pidfd' | 'startTime'> {
  try {
    return { pid, pidfd: sys.pidfdOpen(pid), startTime: processStartTime(pid) };
  } catch (error) {
    sys.kill(pid, SIGKILL);
    sys.wait4(pid, 0);
    throw error;
  }
}

/** A file of the host, so that how a container ended is known also when nobody waited for it. */
function openExitFile(sys: Syscalls, path: string): number {
  return sys.openat(AT_FDCWD, path, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0o600);
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
  exitFd: number;
  planFd: number;
  outcomeFd: number;
}

/**
 * PID 1's life in JavaScript: it makes the namespaces, forks the process that will be the program,
 * and becomes init. What hinders it then goes through a pipe to the other, which alone speaks to the
 * launcher; the pipe ends when init is executed.
 */
function liveAsFirst(context: LauncherContext, plan: BlankPlan, given: BlankFds): never {
  const { sys, init, filter } = context;
  const state = { step: 'close descriptors', saysTo: given.outcomeFd };
  const step = stepper(sys, state);
  try {
    const fds = parkAll(sys, given);
    state.saysTo = fds.outcomeFd;
    const program = park(sys, init.program);
    const netns = park(sys, init.netns);
    // Other blanks' orders among them: their end must be the launcher's alone
    closeFrom(sys, FIRST_OWN_FD, [...Object.values(fds), program, netns]);
    const doors = leaveHost(sys, plan, step);
    step('fork');
    const initPipe = sys.pipe2(O_CLOEXEC);
    if (sys.fork() === 0) {
      for (const fd of [initPipe.write, fds.exitFd, program, netns]) sys.close(fd);
      liveAsBlank(context, plan, { ...fds, ...doors, initFd: initPipe.read });
    }
    state.saysTo = initPipe.write;
    step('become init');
    return becomeInit(sys, { program, netns }, { exitFd: fds.exitFd, userns: fds.userns, filter });
  } catch (error) {
    return dieTelling(sys, state.saysTo, JSON.stringify(failureOf(state.step, error)));
  }
}

function parkAll(sys: Syscalls, fds: BlankFds): BlankFds {
  return {
    userns: park(sys, fds.userns),
    exitFd: park(sys, fds.exitFd),
    planFd: park(sys, fds.planFd),
    outcomeFd: park(sys, fds.outcomeFd),
  };
}

/** The other's whole life in JavaScript. It never returns to the launcher's loop. */
function liveAsBlank(
  context: LauncherContext,
  plan: BlankPlan,
  given: BlankFds & HostDoors & { initFd: number },
): never {
  const { sys } = context;
  const { outcomeFd, userns } = given;
  const state = { step: 'become blank' };
  const step = stepper(sys, state);
  try {
    // While the host's /proc is still what /proc means
    const pid = Number(sys.readlinkat(AT_FDCWD, '/proc/self'));
    const view = becomeBlank(sys, plan, { ...given, step });
    // Gives this process its own copies of the memory that the way to the program writes to
    context.rehearse();
    // The holder of its memory is there for a moment after the program began
    hideArguments();
    awaitInit(sys, given.initFd);
    sys.write(outcomeFd, sayReady(pid));
    const startPlan = readPlan(sys, given.planFd);
    // The launcher has ended: nobody will come any more
    if (startPlan === undefined) return sys.exit(CHILD_FAILED);
    return becomeProgram(context, startPlan, { ...view, userns, outcomeFd, step });
  } catch (error) {
    return dieTelling(sys, outcomeFd, JSON.stringify(failureOf(state.step, error)));
  }
}

/** No program may run before init is what it will be: until then /proc/1 is the launcher's fork. */
function awaitInit(sys: Syscalls, initFd: number): void {
  const said: Buffer[] = [];
  const chunk = Buffer.alloc(READ_BYTES);
  for (let length = sys.read(initFd, chunk); length > 0; length = sys.read(initFd, chunk)) {
    said.push(Buffer.from(chunk.subarray(0, length)));
  }
  sys.close(initFd);
  if (said.length === 0) return;
  throw new RefusedStep(JSON.parse(Buffer.concat(said).toString()) as StartFailure);
}

/** From a blank to the program; all of it is on the path of a waiting request. */
export function becomeProgram(
  context: LauncherContext,
  plan: StartPlan,
  given: BlankView & { userns: number; outcomeFd: number; step: (name: string) => void },
): never {
  const { sys } = context;
  const filter = plan.listenPath === undefined ? context.filter : context.listenerFilter;
  const { step, outcomeFd, hostMounts, hostRoot } = given;
  step('enter network');
  // Before any socket is made: one keeps the network it was made in, and shows that one's addresses
  enterNetwork(sys, plan.netns, hostRoot);
  const clones = cloneHostMounts(sys, plan.mounts, given);
  sys.close(hostRoot);
  sys.close(hostMounts);
  step('open streams');
  const streams = openStreams(sys, plan);
  isolate(sys, plan, { ...given, filter, clones });
  step('close descriptors');
  installStreams(sys, streams, outcomeFd);
  const copies = holdMemory(sys, context.holder);
  step('enter working folder');
  enterFolder(sys, plan.cwd);
  step('execute');
  awaitHolder(sys, copies);
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
function dieTelling(sys: Syscalls, fd: number, text: string): never {
  try {
    sys.write(fd, Buffer.from(text));
  } finally {
    sys.exit(CHILD_FAILED);
  }
  throw new Error('unreachable');
}
