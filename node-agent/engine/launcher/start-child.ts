import { AT_FDCWD, CLONE_NEWPID, O_CLOEXEC, O_RDONLY } from '../linux-constants.ts';
import { processStartTime } from '../process-identity.ts';
import { SyscallError, type Syscalls } from '../syscall-types.ts';
import { ExecuteError, enterFolder, execute, resetSignals } from './execute.ts';
import { isolate } from './isolate.ts';
import type { StartFailure, StartPlan } from './messages.ts';
import { installStreams, openStreams, park } from './standard-streams.ts';
import type { UserNamespaces } from './user-namespaces.ts';

/** A child on its way to its program. */
export interface StartingChild {
  pid: number;
  startTime: string;
  /** Ends when the program is executed, or with what `readOutcome` reads. */
  outcomeFd: number;
}

/** What every start of this launcher shares. */
export interface LauncherContext {
  sys: Syscalls;
  users: UserNamespaces;
  filter: Buffer;
}

const CHILD_FAILED = 127;
const SAID_EXECUTING = 'x';

/**
 * Forks a child that is PID 1 of a new namespace; it isolates itself and executes. The launcher's
 * own "namespace for children" is put back at once, as a second unshare without it is EINVAL.
 */
export function startChild(context: LauncherContext, plan: StartPlan): StartingChild {
  const { sys } = context;
  const userns = context.users.get(plan.uidBase);
  const outcome = sys.pipe2(O_CLOEXEC);
  const own = sys.openat(AT_FDCWD, '/proc/self/ns/pid', O_RDONLY | O_CLOEXEC);
  try {
    sys.unshare(CLONE_NEWPID);
    let pid: number;
    try {
      pid = sys.fork();
    } catch (error) {
      sys.setns(own, CLONE_NEWPID);
      throw error;
    }
    if (pid === 0) becomeProgram(context, plan, { userns, outcomeFd: outcome.write });
    sys.setns(own, CLONE_NEWPID);
    return { pid, startTime: processStartTime(pid), outcomeFd: outcome.read };
  } catch (error) {
    sys.close(outcome.read);
    throw error;
  } finally {
    sys.close(outcome.write);
    sys.close(own);
  }
}

/** The child's whole life in JavaScript. It never returns to the launcher's loop. */
function becomeProgram(
  context: LauncherContext,
  plan: StartPlan,
  given: { userns: number; outcomeFd: number },
): never {
  const { sys, filter } = context;
  let current = 'open streams';
  let outcomeFd = given.outcomeFd;
  try {
    outcomeFd = park(sys, outcomeFd);
    const streams = openStreams(sys, plan);
    const step = (name: string): void => {
      current = name;
    };
    isolate(sys, plan, { userns: given.userns, filter, step });
    current = 'close descriptors';
    installStreams(sys, streams, outcomeFd);
    current = 'enter working folder';
    enterFolder(sys, plan.cwd);
    current = 'execute';
    resetSignals(sys);
    sys.write(outcomeFd, Buffer.from(SAID_EXECUTING));
    return execute(sys, plan);
  } catch (error) {
    return dieTelling(sys, outcomeFd, failureOf(current, error));
  }
}

function failureOf(step: string, error: unknown): StartFailure {
  if (error instanceof ExecuteError) return error.failure;
  const errno = error instanceof SyscallError ? error.code : 'ERR';
  return { step, errno, message: error instanceof Error ? error.message : String(error) };
}

/** `_exit`: Node's own exit joins threads that do not exist in a fork. */
function dieTelling(sys: Syscalls, outcomeFd: number, failure: StartFailure): never {
  try {
    sys.write(outcomeFd, Buffer.from(JSON.stringify(failure)));
  } finally {
    sys.exit(CHILD_FAILED);
  }
  throw new Error('unreachable');
}

/**
 * What the bytes of an outcome pipe say, once it has ended: undefined when the program runs. A child
 * that died before it tried to execute has said nothing at all.
 */
export function parseOutcome(bytes: Buffer): StartFailure | undefined {
  const text = bytes.toString();
  const failure = text.startsWith(SAID_EXECUTING) ? text.slice(SAID_EXECUTING.length) : text;
  if (failure !== '') return JSON.parse(failure) as StartFailure;
  if (text !== '') return undefined;
  return { step: 'isolate', errno: 'ERR', message: 'the process ended before its program began' };
}
