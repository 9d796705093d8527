import {
  AT_FDCWD,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  RESOLVE_NO_MAGICLINKS,
  SIGNAL_MAX,
} from '../kernel/linux-constants.ts';
import { SyscallError, type Syscalls } from '../kernel/syscall-types.ts';
import type { StartFailure, StartPlan } from './messages.ts';
import { RefusedStep } from './outcome.ts';

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const SHEBANG_BYTES = 256;
const SIGKILL = 9;
const SIGSTOP = 19;

/** A program that could not be executed, with what is known about its file. */
class ExecuteError extends RefusedStep {}

/**
 * Enters the working folder. Magic links of /proc (`/proc/self/fd/7`) would lead out of the root:
 * CVE-2024-21626; so they are refused, and where the folder really is gets checked.
 */
export function enterFolder(sys: Syscalls, path: string): void {
  const how = { flags: O_PATH | O_DIRECTORY | O_CLOEXEC, resolve: RESOLVE_NO_MAGICLINKS };
  const fd = sys.openat2(AT_FDCWD, path, how);
  sys.fchdir(fd);
  sys.close(fd);
  const now = sys.getcwd();
  if (!now.startsWith('/')) throw new Error(`working folder is outside of the root: ${now}`);
}

/** Default action for every signal and none blocked: Node ignores SIGPIPE, which exec would keep. */
export function resetSignals(sys: Syscalls): void {
  for (let signal = 1; signal <= SIGNAL_MAX; signal++) {
    if (signal === SIGKILL || signal === SIGSTOP || signal === 32 || signal === 33) continue;
    sys.sigdefault(signal);
  }
  sys.sigprocmask(0n);
}

/** Files that `name` may mean, in the order of execvp(3). */
export function executableCandidates(name: string, env: readonly string[]): string[] {
  if (name.includes('/')) return [name];
  const variable = env.find((entry) => entry.startsWith('PATH='));
  const search = variable === undefined ? DEFAULT_PATH : variable.slice('PATH='.length);
  return search.split(':').map((folder) => `${folder === '' ? '.' : folder}/${name}`);
}

/**
 * Executes the first candidate that exists; returns only by throwing ExecuteError. Magic links are
 * refused: `/proc/self/exe` is still the launcher's own program here (CVE-2019-5736).
 */
export function execute(sys: Syscalls, plan: Pick<StartPlan, 'argv' | 'env'>): never {
  const name = plan.argv[0] ?? '';
  let last: ExecuteError | undefined;
  for (const file of executableCandidates(name, plan.env)) {
    const failure = tryExecute(sys, file, plan);
    last = new ExecuteError(failure);
    if (failure.found === true && failure.errno !== 'EACCES') throw last;
  }
  throw last ?? new Error('no file to execute');
}

function tryExecute(
  sys: Syscalls,
  file: string,
  plan: Pick<StartPlan, 'argv' | 'env'>,
): StartFailure {
  try {
    const how = { flags: O_PATH | O_CLOEXEC, resolve: RESOLVE_NO_MAGICLINKS };
    sys.close(sys.openat2(AT_FDCWD, file, how));
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    return { step: 'execute', errno: error.code, message: file, found: false };
  }
  try {
    return sys.execve(file, plan.argv, plan.env);
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    const shebang = readShebang(sys, file);
    const failure = { step: 'execute', errno: error.code, message: file, found: true };
    return shebang === undefined ? failure : { ...failure, shebang };
  }
}

/** First line of a script, with its carriage return if it has one. */
function readShebang(sys: Syscalls, file: string): string | undefined {
  try {
    const fd = sys.openat(AT_FDCWD, file, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    const buffer = Buffer.alloc(SHEBANG_BYTES);
    const head = buffer.toString('latin1', 0, sys.read(fd, buffer));
    sys.close(fd);
    return head.startsWith('#!') ? head.split('\n', 1)[0] : undefined;
  } catch {
    return undefined;
  }
}
