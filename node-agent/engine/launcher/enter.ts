import {
  AT_FDCWD,
  CLONE_NEWCGROUP,
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWUTS,
  O_CLOEXEC,
  O_NOCTTY,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
  PR_SET_DUMPABLE,
  RLIMIT_CORE,
  RLIMIT_NOFILE,
} from '../kernel/linux-constants.ts';
import type { Syscalls } from '../kernel/syscall-types.ts';
import type { LauncherContext } from './blank.ts';
import { becomeUser } from './credentials.ts';
import type { EngineFile, EnterPlan } from './enter-messages.ts';
import { runProgram } from './exec-program.ts';
import { serveFiles } from './files/file-service.ts';
import { OOM_SCORE_ADJ } from './isolate.ts';
import { failureOf } from './outcome.ts';
import { closeFrom, park } from './standard-streams.ts';
import { writeText } from './user-namespaces.ts';

const CHILD_FAILED = 127;
const FIRST_OWN_FD = 3;
/** A walk through folders holds one for each level. */
const FILE_SERVICE_OPEN_FILES = 1024;
const NAMESPACES =
  CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;

/** Descriptors of a process that enters, made by the launcher. */
export interface EnterFds {
  /** Of the container's program. */
  pidfd: number;
  outcomeFd: number;
  /** One byte on it says that the launcher knows the process that will be the program. */
  goFd: number;
}

/**
 * A forked child's whole life in JavaScript: out of the host, into the container, to its work. It
 * never returns to the launcher's loop. Nobody inside sees it: it is in no pid namespace of theirs.
 */
export function liveEntered(context: LauncherContext, plan: EnterPlan, given: EnterFds): never {
  const { sys } = context;
  const state = { step: 'hide from other processes', outcomeFd: given.outcomeFd };
  const step = (name: string): void => {
    state.step = name;
  };
  try {
    // Its /proc/<pid>/{root,cwd,fd,exe,mem} are doors to the host until it has become the program
    sys.prctl(PR_SET_DUMPABLE, 0);
    sys.umask(0);
    sys.setsid();
    step('close descriptors');
    state.outcomeFd = park(sys, given.outcomeFd);
    const fds = {
      outcomeFd: state.outcomeFd,
      pidfd: park(sys, given.pidfd),
      goFd: park(sys, given.goFd),
    };
    closeFrom(sys, FIRST_OWN_FD, Object.values(fds));
    step('open streams');
    const streams = openStreams(sys, plan);
    enterContainer(context, plan, { pidfd: fds.pidfd, step });
    sys.close(fds.pidfd);
    const { work } = plan;
    if (work.kind === 'files') return serveFiles(sys, work, { ...fds, streams });
    return runProgram(sys, work, { ...fds, streams, step });
  } catch (error) {
    return dieTelling(sys, state.outcomeFd, JSON.stringify(failureOf(state.step, error)));
  }
}

/**
 * From the host into the container's cgroups, namespaces, user and filter. Each line depends on
 * those above it: cgroup folders are the host's paths, and entering the user namespace takes away
 * the right to enter any other.
 */
function enterContainer(
  context: LauncherContext,
  plan: EnterPlan,
  given: { pidfd: number; step: (name: string) => void },
): void {
  const { sys } = context;
  const { step, pidfd } = given;
  step('join cgroups');
  writeText(sys, '/proc/self/oom_score_adj', OOM_SCORE_ADJ);
  for (const folder of plan.cgroups) writeText(sys, `${folder}/cgroup.procs`, '0');
  step('enter namespaces');
  // All at once or none (setns(2)); root and working folder become the container's
  sys.setns(pidfd, NAMESPACES);
  sys.chdir('/');
  step('set limits');
  const openFiles = plan.work.kind === 'files' ? FILE_SERVICE_OPEN_FILES : plan.openFiles;
  sys.setrlimit(RLIMIT_NOFILE, openFiles, openFiles);
  sys.setrlimit(RLIMIT_CORE, 0, 0);
  step('become user');
  becomeUser(sys, plan, pidfd);
  // A change of ids sets it to what the host's fs.suid_dumpable says
  sys.prctl(PR_SET_DUMPABLE, 0);
  step('load seccomp filter');
  sys.seccompSetFilter(plan.listener ? context.listenerFilter : context.filter);
}

/** What the process works with, while the host's paths can still be seen. */
function openStreams(sys: Syscalls, plan: EnterPlan): number[] {
  const open = (file: EngineFile, flags: number): number => openAgain(sys, plan, file, flags);
  const { work } = plan;
  if (work.kind === 'files') return [open(work.input, O_RDONLY), open(work.output, O_WRONLY)];
  const { streams } = work;
  if ('terminal' in streams) return [open(streams.terminal, O_RDWR | O_NOCTTY)];
  const { stdin, stdout, stderr } = streams;
  const input =
    stdin === undefined
      ? park(sys, sys.openat(AT_FDCWD, '/dev/null', O_RDONLY | O_CLOEXEC))
      : open(stdin, O_RDONLY);
  return [input, open(stdout, O_WRONLY), open(stderr, O_WRONLY)];
}

/**
 * A pipe or terminal of the engine's as an open file of its own, whose flags are its own (proc(5)).
 * If the engine gave up meanwhile, the number may stand for what is none of the container's business.
 */
function openAgain(sys: Syscalls, plan: EnterPlan, file: EngineFile, flags: number): number {
  const path = `/proc/${plan.enginePid}/fd/${file.fd}`;
  const fd = park(sys, sys.openat(AT_FDCWD, path, flags | O_CLOEXEC));
  const { device, inode } = sys.fstat(fd);
  if (device === file.device && inode === file.inode) return fd;
  throw new Error('the engine has closed it');
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
