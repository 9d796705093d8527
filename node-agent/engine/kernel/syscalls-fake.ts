import { constants as osConstants } from 'node:os';
import { SyscallError, type Syscalls } from './syscall-types.ts';

/** One recorded call. */
export interface RecordedCall {
  call: keyof Syscalls;
  args: readonly unknown[];
}

export interface FakeOptions {
  /** Errno name by call: every such call fails with it. */
  fail?: Partial<Record<keyof Syscalls, string>>;
  /** Results by call; a function sees the arguments. */
  results?: Partial<Record<keyof Syscalls, unknown>>;
}

/** Thrown by the fake's `execve`, `execveat` and `exit`, which have no way back. */
export class FakeEnd extends Error {}

const DESCRIPTOR_CALLS = /^(open|fsopen|fsmount|socket|pidfdOpen|memfdCreate)/;

/**
 * A kernel that only writes down what it is asked, so that order and arguments are a test without
 * root. Descriptors count from 100; `poll` reports nothing; `execve`, `execveat` and `exit` throw `FakeEnd`.
 */
export function fakeSyscalls(options: FakeOptions = {}): { sys: Syscalls; calls: RecordedCall[] } {
  const calls: RecordedCall[] = [];
  let nextFd = 100;
  const answer = (call: keyof Syscalls, args: readonly unknown[]): unknown => {
    calls.push({ call, args });
    const errno = options.fail?.[call];
    if (errno !== undefined) throw fakeError(call, errno, args);
    const result = options.results?.[call];
    if (result !== undefined) return typeof result === 'function' ? result(...args) : result;
    if (call === 'execve' || call === 'execveat' || call === 'exit') throw new FakeEnd(call);
    if (call === 'pipe2') return { read: nextFd++, write: nextFd++ };
    if (call === 'poll') return [];
    if (call === 'fstat') return { device: 1, inode: nextFd++, mode: 0o040755, uid: 0, gid: 0 };
    if (call === 'getcwd') return '/';
    return DESCRIPTOR_CALLS.test(call) ? nextFd++ : 0;
  };
  const sys = new Proxy({} as Syscalls, {
    get:
      (_, call) =>
      (...args: unknown[]) =>
        answer(call as keyof Syscalls, args),
  });
  return { sys, calls };
}

function fakeError(call: string, code: string, args: readonly unknown[]): SyscallError {
  const errno = (osConstants.errno as Record<string, number>)[code] ?? 0;
  return new SyscallError({ call, errno, code, args });
}
