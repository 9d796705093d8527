import { SyscallError, type Syscalls } from '../../kernel/syscall-types.ts';
import type { FileWork } from '../enter-messages.ts';
import { SAID_EXECUTING } from '../outcome.ts';
import { encodeFileFrame, type FileFailure, type FileFrame } from './file-frames.ts';
import { PathError } from './file-path.ts';
import { FileTree } from './file-tree.ts';
import { FileWriter } from './file-writer.ts';

/**
 * A process inside a container's mounts and user namespace that reads or makes files for the engine,
 * and executes nothing. It belongs to the container's cgroups, so what it uses is the container's.
 * Every answer ends with `end` or `failure`. It never returns.
 */
export function serveFiles(
  sys: Syscalls,
  work: FileWork,
  fds: { outcomeFd: number; goFd: number; streams: readonly number[] },
): never {
  const [input = -1, output = -1] = fds.streams;
  sys.write(fds.outcomeFd, Buffer.from(SAID_EXECUTING));
  sys.close(fds.outcomeFd);
  sys.close(fds.goFd);
  const send = (frame: FileFrame): void => writeAll(sys, output, encodeFileFrame(frame));
  try {
    perform(sys, work, { input, send });
    send({ kind: 'end' });
  } catch (error) {
    // If the engine has gone, nobody hears it
    if (!isBroken(error)) send({ kind: 'failure', failure: fileFailure(error) });
  }
  return sys.exit(0);
}

function perform(
  sys: Syscalls,
  work: FileWork,
  io: { input: number; send: (frame: FileFrame) => void },
): void {
  const { task } = work;
  if (task.action === 'write') {
    const writer = new FileWriter(sys, task);
    writer.readAll(io.input);
    return;
  }
  const tree = new FileTree(sys, io.send);
  if (task.action === 'stat') tree.sendOne(task);
  else tree.sendAll(task);
}

function fileFailure(error: unknown): FileFailure {
  const path = error instanceof PathError ? error.path : '';
  const cause = error instanceof PathError ? error.cause : error;
  const errno = cause instanceof SyscallError ? cause.code : 'ERR';
  return { errno, path, message: cause instanceof Error ? cause.message : String(cause) };
}

function isBroken(error: unknown): boolean {
  return error instanceof SyscallError && error.code === 'EPIPE';
}

function writeAll(sys: Syscalls, fd: number, bytes: Buffer): void {
  let rest = bytes;
  while (rest.length > 0) rest = rest.subarray(sys.write(fd, rest));
}
