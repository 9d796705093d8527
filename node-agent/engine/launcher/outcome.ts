import { SyscallError } from '../kernel/syscall-types.ts';
import type { StartFailure } from './messages.ts';

/**
 * What a child says on its outcome pipe: its pid when it is a blank, one byte right before it
 * executes, and a failure as JSON if it must give up. The pipe ends when the program is executed.
 */
export const SAID_EXECUTING = 'x';

/** The word of a blank that is ready. */
export function sayReady(pid: number): Buffer {
  return Buffer.from(`r${pid};`);
}

/** Pid that a blank said it has; undefined for any other word. */
export function readyPid(word: string): number | undefined {
  const pid = /^r(\d+);/.exec(word)?.[1];
  return pid === undefined ? undefined : Number(pid);
}

/** Whether one has gone on after it said that it is ready. */
export function saidMore(bytes: Buffer): boolean {
  return /^r\d+;./s.test(bytes.toString());
}

/** A failed step of which more is known than the kernel's reason, or that another process told. */
export class RefusedStep extends Error {
  readonly failure: StartFailure;

  constructor(failure: StartFailure) {
    super(failure.message);
    this.failure = failure;
  }
}

/** A step that failed, with the kernel's reason. */
export function failureOf(step: string, error: unknown): StartFailure {
  if (error instanceof RefusedStep) return error.failure;
  const errno = error instanceof SyscallError ? error.code : 'ERR';
  return { step, errno, message: error instanceof Error ? error.message : String(error) };
}

/** All of a pipe that has ended: undefined when the program runs. */
export function parseOutcome(bytes: Buffer): StartFailure | undefined {
  const [, said = '', failure = ''] = /^(?:r\d+;)?(x?)(.*)$/s.exec(bytes.toString()) ?? [];
  if (failure !== '') return JSON.parse(failure) as StartFailure;
  if (said === SAID_EXECUTING) return undefined;
  return { step: 'isolate', errno: 'ERR', message: 'the process ended before its program began' };
}
