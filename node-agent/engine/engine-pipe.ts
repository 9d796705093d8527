import { Socket } from 'node:net';
import { O_CLOEXEC } from './linux-constants.ts';
import { syscalls } from './syscalls.ts';

/** A pipe of which the engine has one end, and a process of the launcher's opens the other. */
export interface EnginePipe {
  socket: Socket;
  /** The other end. Others open it again as /proc/PID/fd/N; it is to be closed when they have. */
  otherFd: number;
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
