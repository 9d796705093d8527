import { Socket } from 'node:net';
import { O_CLOEXEC } from '../kernel/linux-constants.ts';
import { syscalls } from '../kernel/syscalls.ts';
import type { EngineFile } from '../launcher/enter-messages.ts';

/** A pipe of which the engine has one end, and a process of the launcher's opens the other. */
export interface EnginePipe {
  socket: Socket;
  /** The other end, to be closed when the other has it. */
  otherFd: number;
}

/** How a process of the launcher's finds a descriptor, and knows that it is still the same file. */
export function engineFile(fd: number): EngineFile {
  const { device, inode } = syscalls.fstat(fd);
  return { fd, device, inode };
}

/** The engine reads what the other writes. */
export function readablePipe(): EnginePipe {
  const { read, write } = syscalls.pipe2(O_CLOEXEC);
  return { socket: open(read, write, { readable: true, writable: false }), otherFd: write };
}

/** The engine writes what the other reads. */
export function writablePipe(): EnginePipe {
  const { read, write } = syscalls.pipe2(O_CLOEXEC);
  return { socket: open(write, read, { readable: false, writable: true }), otherFd: read };
}

function open(fd: number, other: number, way: { readable: boolean; writable: boolean }): Socket {
  try {
    return new Socket({ fd, ...way });
  } catch (error) {
    syscalls.close(fd);
    syscalls.close(other);
    throw error;
  }
}
