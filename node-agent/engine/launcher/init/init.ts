import {
  CLONE_NEWNET,
  F_ADD_SEALS,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  MFD_EXEC,
  RLIMIT_CORE,
  SEALED,
} from '../../kernel/linux-constants.ts';
import type { EngineArch } from '../../kernel/syscall-numbers.ts';
import { SyscallError, type Syscalls } from '../../kernel/syscall-types.ts';
import { becomeUser } from '../credentials.ts';
import { resetSignals } from '../execute.ts';
import { makeNetwork } from '../network-namespace.ts';
import { EXIT_FD } from './init-code.ts';
import { initProgram } from './init-elf.ts';

/**
 * Uid inside the container's range that runs init. No image uses it, and whoever becomes it, as
 * CAP_SETUID can, still cannot look into /proc/1: init's file is readable for nobody there, so the
 * kernel takes the process for one of the host's (`would_dump` of fs/exec.c).
 */
const INIT_ID = 65_533;
const USER = { uid: INIT_ID, gid: INIT_ID, groups: [] };

/** What every init of this launcher is made from. */
export interface InitParts {
  /** Descriptor of the program, in memory and sealed. */
  program: number;
  /** A network namespace with nothing in it: /proc/1/net shows init's to anybody, without asking. */
  netns: number;
}

/** Makes the parts, once. @throws SyscallError */
export function createInit(sys: Syscalls, arch: EngineArch): InitParts {
  return { program: createProgram(sys, initProgram(arch)), netns: makeNetwork(sys, () => {}) };
}

/** Sealed, it cannot be changed by whoever might get hold of it (CVE-2019-5736). */
function createProgram(sys: Syscalls, program: Buffer): number {
  const fd = createMemoryFile(sys, 'hearth-init', MFD_CLOEXEC | MFD_ALLOW_SEALING);
  sys.write(fd, program);
  // May be executed, never read
  sys.fchmod(fd, 0o111);
  sys.fcntl(fd, F_ADD_SEALS, SEALED);
  return fd;
}

/** A file in memory that may be executed. @throws SyscallError */
export function createMemoryFile(sys: Syscalls, name: string, flags: number): number {
  try {
    return sys.memfdCreate(name, flags | MFD_EXEC);
  } catch (error) {
    // Before Linux 6.3 the flag is unknown, and every such file can be executed
    if (!(error instanceof SyscallError) || error.code !== 'EINVAL') throw error;
    return sys.memfdCreate(name, flags);
  }
}

/**
 * Turns PID 1 of a container into its init, once the program's process has been forked. `exitFd` is
 * the exit file; nothing else of the host is left in its hands.
 */
export function becomeInit(
  sys: Syscalls,
  parts: InitParts,
  given: { exitFd: number; userns: number; filter: Buffer },
): never {
  sys.setns(parts.netns, CLONE_NEWNET);
  resetSignals(sys);
  sys.setrlimit(RLIMIT_CORE, 0, 0);
  const program = { user: USER, capabilities: [] };
  becomeUser(sys, program, given.userns);
  sys.seccompSetFilter(given.filter);
  sys.closeRange(0, EXIT_FD - 1, 0);
  sys.dup3(given.exitFd, EXIT_FD, 0);
  // The pipe that tells a failure closes when the program is executed
  return sys.execveat(parts.program, ['hearth-init'], []);
}
