/** Registers by what they hold; each machine has its own for them. */
export type Register =
  | 'result'
  | 'argument0'
  | 'argument1'
  | 'argument2'
  | 'argument3'
  | 'status'
  | 'signal';

/** System calls that native code makes. */
type NativeCall =
  | 'close_range'
  | 'exit_group'
  | 'prctl'
  | 'read'
  | 'setpriority'
  | 'wait4'
  | 'write';

/** One instruction, for any machine. Constants are -4095 … 4095, the range that each can encode. */
export type Instruction =
  | { op: 'label'; label: string }
  | { op: 'set'; to: Register; value: number }
  /** Address of the word at the top of the stack. */
  | { op: 'setWordAddress'; to: Register }
  /** The 32 bits of that word. */
  | { op: 'loadWord'; to: Register }
  | { op: 'lowBits'; to: Register; from: Register; count: number }
  | { op: 'shiftRight'; to: Register; from: Register; count: number }
  | { op: 'add'; to: Register; from: Register; value: number }
  | { op: 'call'; name: NativeCall }
  | { op: 'jumpIf'; register: Register; equals: number; label: string }
  | { op: 'jump'; label: string };

/** Descriptor of init's exit file. */
export const EXIT_FD = 3;

/** Pid of the program inside: the first that PID 1 forks. */
export const PROGRAM_PID = 2;

const PR_SET_DUMPABLE = 4;
const ECHILD = 10;
const STATUS_BYTES = 4;
const LOST = 127;

/**
 * PID 1 of every container. It waits for whatever ends, so that no orphan stays a zombie; when the
 * program has ended it writes the raw wait status (wait(2)) to the exit file and ends the same way
 * as shells say it, by which the kernel ends all that is left of the namespace. It uses no memory but
 * the top word of its stack, and makes no call that could fail in a way that matters.
 */
export const INIT: readonly Instruction[] = [
  // Nobody of the container may look into /proc/1, should the kernel have thought otherwise
  { op: 'set', to: 'argument0', value: PR_SET_DUMPABLE },
  { op: 'set', to: 'argument1', value: 0 },
  { op: 'call', name: 'prctl' },
  { op: 'label', label: 'wait' },
  { op: 'set', to: 'argument0', value: -1 },
  { op: 'setWordAddress', to: 'argument1' },
  { op: 'set', to: 'argument2', value: 0 },
  { op: 'set', to: 'argument3', value: 0 },
  { op: 'call', name: 'wait4' },
  { op: 'jumpIf', register: 'result', equals: PROGRAM_PID, label: 'ended' },
  { op: 'jumpIf', register: 'result', equals: -ECHILD, label: 'lost' },
  { op: 'jump', label: 'wait' },
  { op: 'label', label: 'ended' },
  { op: 'set', to: 'argument0', value: EXIT_FD },
  { op: 'setWordAddress', to: 'argument1' },
  { op: 'set', to: 'argument2', value: STATUS_BYTES },
  { op: 'call', name: 'write' },
  // WIFEXITED: the low 7 bits, the signal, are 0; then WEXITSTATUS is the byte above
  { op: 'loadWord', to: 'status' },
  { op: 'lowBits', to: 'signal', from: 'status', count: 7 },
  { op: 'jumpIf', register: 'signal', equals: 0, label: 'exited' },
  { op: 'add', to: 'argument0', from: 'signal', value: 128 },
  { op: 'call', name: 'exit_group' },
  { op: 'label', label: 'exited' },
  { op: 'shiftRight', to: 'argument0', from: 'status', count: 8 },
  { op: 'call', name: 'exit_group' },
  { op: 'label', label: 'lost' },
  { op: 'set', to: 'argument0', value: LOST },
  { op: 'call', name: 'exit_group' },
];
