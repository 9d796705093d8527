import { posix } from 'node:path';
import {
  AT_FDCWD,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
} from '../../kernel/linux-constants.ts';
import { engineArch } from '../../kernel/syscall-numbers.ts';
import { SyscallError, type Syscalls } from '../../kernel/syscall-types.ts';
import { executableCandidates } from '../execute.ts';
import type { StartFailure, StartPlan } from '../messages.ts';
import { RefusedStep } from '../outcome.ts';
import { readHead } from '../program-head.ts';

const RESOLVE = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
const HEAD_BYTES = 4096;
const ABSENT = ['ENOENT', 'ENOTDIR', 'ELOOP'];

/**
 * Looks at a container's working folder and program before another runtime is asked to start it.
 * Runtimes make a missing folder, and execute the program when they have ended themselves: what the
 * kernel says to that would be heard by nobody. `root` lies in the working folder.
 */
export function checkProgram(sys: Syscalls, plan: StartPlan, step: (name: string) => void): void {
  const root = sys.openat(AT_FDCWD, 'root', O_PATH | O_DIRECTORY | O_CLOEXEC);
  step('enter working folder');
  const folder = { flags: O_PATH | O_DIRECTORY | O_CLOEXEC, resolve: RESOLVE };
  sys.close(sys.openat2(root, plan.cwd, folder));
  step('execute');
  let failure: StartFailure | undefined;
  for (const file of executableCandidates(plan.argv[0] ?? '', plan.env)) {
    failure = failureOf(sys, root, { file, cwd: plan.cwd });
    if (failure?.found !== false) break;
  }
  sys.close(root);
  if (failure !== undefined) throw new RefusedStep(failure);
}

/** Why this file would not be executed, as far as its first bytes tell. */
function failureOf(
  sys: Syscalls,
  root: number,
  { cwd, file }: { cwd: string; file: string },
): StartFailure | undefined {
  const failure = { step: 'execute', message: file };
  let head: Buffer;
  try {
    head = readStart(sys, root, posix.resolve(cwd, file));
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    if (!ABSENT.includes(error.code)) return undefined;
    return { ...failure, errno: error.code, found: false };
  }
  const found = readHead(head, engineArch());
  if (found.kind === 'unknown') return { ...failure, errno: 'ENOEXEC', found: true };
  const needs = found.kind === 'script' ? found.interpreter : found.loader;
  if (needs === undefined || isThere(sys, root, posix.resolve(cwd, needs))) return undefined;
  const script = found.kind === 'script' ? { shebang: found.shebang } : {};
  return { ...failure, errno: 'ENOENT', found: true, ...script };
}

function readStart(sys: Syscalls, root: number, path: string): Buffer {
  const how = { flags: O_RDONLY | O_NONBLOCK | O_CLOEXEC, resolve: RESOLVE };
  const fd = sys.openat2(root, path, how);
  try {
    const head = Buffer.alloc(HEAD_BYTES);
    return head.subarray(0, sys.read(fd, head));
  } finally {
    sys.close(fd);
  }
}

function isThere(sys: Syscalls, root: number, path: string): boolean {
  try {
    sys.close(sys.openat2(root, path, { flags: O_PATH | O_CLOEXEC, resolve: RESOLVE }));
    return true;
  } catch (error) {
    if (error instanceof SyscallError && ABSENT.includes(error.code)) return false;
    throw error;
  }
}
