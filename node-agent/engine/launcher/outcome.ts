import { SyscallError } from '../syscall-types.ts';
import { ExecuteError } from './execute.ts';
import type { StartFailure } from './messages.ts';

/**
 * What a child says on its outcome pipe: one byte when it is a blank, one right before it executes,
 * and a failure as JSON if it must give up. The pipe ends when the program is executed.
 */
export const SAID_READY = 'r';
export const SAID_EXECUTING = 'x';

/** A step that failed, with the kernel's reason. */
export function failureOf(step: string, error: unknown): StartFailure {
  if (error instanceof ExecuteError) return error.failure;
  const errno = error instanceof SyscallError ? error.code : 'ERR';
  return { step, errno, message: error instanceof Error ? error.message : String(error) };
}

/** All of a pipe that has ended: undefined when the program runs. */
export function parseOutcome(bytes: Buffer): StartFailure | undefined {
  const [, marks = '', failure = ''] = /^([rx]*)(.*)$/s.exec(bytes.toString()) ?? [];
  if (failure !== '') return JSON.parse(failure) as StartFailure;
  if (marks.endsWith(SAID_EXECUTING)) return undefined;
  return { step: 'isolate', errno: 'ERR', message: 'the process ended before its program began' };
}
