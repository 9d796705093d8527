import type { Socket } from 'node:net';

/** What is read of one stream in one window; the rest waits in the pipe, and its writer with it. */
const WINDOW_BYTES_MAX = 1024 * 1024;
const WINDOW_MS = 50;

/**
 * A container that only writes may not keep its reader from everything else. Nothing is read while
 * `isHeld` says so.
 */
export function pace(socket: Socket, isHeld: () => boolean = () => false): void {
  let windowEndMs = 0;
  let bytes = 0;
  socket.on('data', (chunk: Buffer) => {
    const nowMs = performance.now();
    if (nowMs >= windowEndMs) {
      windowEndMs = nowMs + WINDOW_MS;
      bytes = 0;
    }
    bytes += chunk.length;
    if (bytes < WINDOW_BYTES_MAX || socket.isPaused()) return;
    socket.pause();
    setTimeout(() => {
      if (!isHeld()) socket.resume();
    }, windowEndMs - nowMs);
  });
}
