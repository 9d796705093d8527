import type { Syscalls } from '../kernel/syscall-types.ts';
import type { ProgramWork } from './enter-messages.ts';
import { enterFolder, execute, resetSignals } from './execute.ts';
import { SAID_EXECUTING, sayReady } from './outcome.ts';
import { hideArguments } from './program-title.ts';
import { installStreams } from './standard-streams.ts';

/** asm-generic/ioctls.h: makes a terminal the session's own. */
const TIOCSCTTY = 0x540e;

/** What a process has when it is inside but for the pid namespace. */
export interface InsideFds {
  outcomeFd: number;
  goFd: number;
  /** What will be 0, 1, 2; a single one is a terminal and will be all three. */
  streams: readonly number[];
  step: (name: string) => void;
}

/**
 * The last fork, into the container's pid namespace: from here on others inside see it, so all that
 * could be used against the host is gone by now. CLONE_PARENT makes the launcher its parent, who
 * alone can wait for it; the first process only says its pid and ends.
 */
export function runProgram(sys: Syscalls, work: ProgramWork, fds: InsideFds): never {
  fds.step('fork');
  hideArguments();
  const pid = sys.cloneSibling();
  if (pid !== 0) {
    sys.write(fds.outcomeFd, sayReady(pid));
    return sys.exit(0);
  }
  // Whoever forked it may have been killed before it said the pid: then nobody could wait for it
  if (sys.read(fds.goFd, Buffer.alloc(1)) !== 1) return sys.exit(1);
  fds.step('open terminal');
  const [terminal = -1] = fds.streams;
  sys.setsid();
  const isTerminal = fds.streams.length === 1;
  if (isTerminal) sys.ioctlValue(terminal, TIOCSCTTY, 0);
  fds.step('close descriptors');
  installStreams(sys, isTerminal ? [terminal, terminal, terminal] : fds.streams, fds.outcomeFd);
  sys.umask(0o022);
  fds.step('enter working folder');
  enterFolder(sys, work.cwd);
  fds.step('execute');
  resetSignals(sys);
  sys.write(fds.outcomeFd, Buffer.from(SAID_EXECUTING));
  return execute(sys, work);
}
