import { MFD_CLOEXEC, O_CLOEXEC } from '../kernel/linux-constants.ts';
import type { EngineArch } from '../kernel/syscall-numbers.ts';
import { SyscallError, type Syscalls } from '../kernel/syscall-types.ts';
import { createMemoryFile } from './init/init.ts';
import type { Instruction } from './init/init-code.ts';
import { assembleFor } from './init/init-elf.ts';

/** Above what the program gets, below where descriptors are parked, and below every limit. */
const GATE_FD = 8;
const LAST_FD = -1;
/** setpriority(2) */
const [PRIO_PROCESS, LEAST_PRIORITY] = [0, 19];
const STACK_BYTES = 4096;

/**
 * Closes all but one descriptor, waits for the end of that pipe, and ends; what that takes is nobody's
 * hurry.
 */
const HOLDER: readonly Instruction[] = [
  { op: 'set', to: 'argument0', value: 0 },
  { op: 'set', to: 'argument1', value: GATE_FD - 1 },
  { op: 'set', to: 'argument2', value: 0 },
  { op: 'call', name: 'close_range' },
  { op: 'set', to: 'argument0', value: GATE_FD + 1 },
  { op: 'set', to: 'argument1', value: LAST_FD },
  { op: 'set', to: 'argument2', value: 0 },
  { op: 'call', name: 'close_range' },
  { op: 'set', to: 'argument0', value: PRIO_PROCESS },
  { op: 'set', to: 'argument1', value: 0 },
  { op: 'set', to: 'argument2', value: LEAST_PRIORITY },
  { op: 'call', name: 'setpriority' },
  { op: 'set', to: 'argument0', value: GATE_FD },
  { op: 'setWordAddress', to: 'argument1' },
  { op: 'set', to: 'argument2', value: 1 },
  { op: 'call', name: 'read' },
  { op: 'set', to: 'argument0', value: 0 },
  { op: 'call', name: 'exit_group' },
];

/** Where the code of the holder lies in the launcher, and so in each of its forks. */
export interface MemoryHolder {
  code: bigint;
  stack: Buffer;
}

/** Makes the holder's code executable, once. @throws SyscallError */
export function createMemoryHolder(sys: Syscalls, arch: EngineArch): MemoryHolder {
  const code = assembleFor(arch, HOLDER);
  const fd = createMemoryFile(sys, 'hearth-holder', MFD_CLOEXEC);
  sys.write(fd, code);
  const address = sys.mapExecutable(fd, code.length);
  sys.close(fd);
  return { code: address, stack: Buffer.alloc(STACK_BYTES) };
}

/**
 * Lets another process have a share of this one's memory until this one has executed its program.
 * execve(2) gives back all memory before the program may begin: 2 to 4 ms for a fork of Node. With a
 * holder that is done by the holder's end, beside the program. It has the program's own user and
 * filter, no descriptor but a pipe that ends with the execve, and is init's child to reap. Without
 * room for one more process the program only begins later. Answers what `awaitHolder` waits for.
 */
export function holdMemory(sys: Syscalls, holder: MemoryHolder): number {
  const gate = sys.pipe2(O_CLOEXEC);
  sys.dup3(gate.read, GATE_FD, O_CLOEXEC);
  sys.close(gate.read);
  const copies = sys.pipe2(O_CLOEXEC);
  try {
    sys.cloneInMemory(holder.code, holder.stack);
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
  }
  sys.close(copies.write);
  return copies.read;
}

/**
 * Waits until the holder has closed its copies of this process's descriptors, the outcome pipe among
 * them: else the launcher would hear that the program runs only when the holder had its first turn,
 * milliseconds later on a busy machine. Mostly it has had it by now.
 */
export function awaitHolder(sys: Syscalls, copies: number): void {
  sys.read(copies, Buffer.alloc(1));
  sys.close(copies);
}
