import { closeSync, constants, openSync } from 'node:fs';
import { Socket } from 'node:net';

const BACKLOG_BYTES_MAX = 64 * 1024;
const STATUS_BYTES_MAX = 64 * 1024;
/** What is read of one stream in one window; the rest waits in the pipe, and its writer with it. */
const WINDOW_BYTES_MAX = 1024 * 1024;
const WINDOW_MS = 50;

export type StreamName = 'stdout' | 'stderr';
export type OutputListener = (stream: StreamName, chunk: Buffer) => void;

/**
 * The reading end of a FIFO, open before anybody writes: the kernel then keeps quiet until the
 * first writer, and ends the stream with the last one (fifo(7)).
 */
function readFifo(path: string): Socket {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    return new Socket({ fd, readable: true, writable: false });
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** A container's stdout and stderr, chunk by chunk, to any number of listeners. */
export class ContainerOutput {
  readonly #listeners: OutputListener[] = [];
  readonly #sockets: Socket[] = [];
  readonly #ends: Promise<void>[] = [];
  /** Chunks from before the first listener; the oldest go first. */
  #backlog: { stream: StreamName; chunk: Buffer }[] = [];
  #backlogBytes = 0;

  constructor(paths: Readonly<Record<StreamName, string>>) {
    try {
      for (const stream of ['stdout', 'stderr'] as const) this.#read(stream, paths[stream]);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Adds a listener; the first one hears the backlog at once. */
  listen(listener: OutputListener): void {
    this.#listeners.push(listener);
    const backlog = this.#backlog;
    this.#backlog = [];
    this.#backlogBytes = 0;
    for (const { stream, chunk } of backlog) listener(stream, chunk);
  }

  /** Resolves when both streams have ended. */
  async ended(): Promise<void> {
    await Promise.all(this.#ends);
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #read(stream: StreamName, path: string): void {
    const socket = readFifo(path);
    this.#sockets.push(socket);
    socket.on('data', (chunk: Buffer) => this.#hear(stream, chunk));
    pace(socket);
    // The stream's end is all there is to know
    socket.on('error', () => {});
    this.#ends.push(
      new Promise((resolve) => {
        socket.once('close', () => resolve());
      }),
    );
  }

  #hear(stream: StreamName, chunk: Buffer): void {
    for (const listener of this.#listeners) listener(stream, chunk);
    if (this.#listeners.length > 0) return;
    this.#backlog.push({ stream, chunk });
    this.#backlogBytes += chunk.length;
    while (this.#backlogBytes > BACKLOG_BYTES_MAX) {
      const oldest = this.#backlog.shift();
      if (oldest === undefined) return;
      const over = this.#backlogBytes - BACKLOG_BYTES_MAX;
      this.#backlogBytes -= oldest.chunk.length;
      if (oldest.chunk.length <= over) continue;
      const kept = oldest.chunk.subarray(over);
      this.#backlog.unshift({ stream: oldest.stream, chunk: kept });
      this.#backlogBytes += kept.length;
    }
  }
}

/** A container that only writes may not keep its reader from everything else. */
function pace(socket: Socket): void {
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
    setTimeout(() => socket.resume(), windowEndMs - nowMs);
  });
}

/** The first line of a status pipe. */
export class StatusLine {
  readonly #socket: Socket;
  /** Undefined when the pipe ended, or said too much, without a line. */
  readonly line: Promise<string | undefined>;

  constructor(path: string) {
    this.#socket = readFifo(path);
    this.line = new Promise((resolve) => {
      let text = Buffer.alloc(0);
      this.#socket.on('data', (chunk: Buffer) => {
        text = Buffer.concat([text, chunk]);
        const end = text.indexOf(10);
        if (end !== -1) resolve(text.toString('utf8', 0, end));
        if (end !== -1 || text.length > STATUS_BYTES_MAX) this.#socket.destroy();
      });
      this.#socket.on('error', () => {});
      this.#socket.once('close', () => resolve(undefined));
    });
  }

  close(): void {
    this.#socket.destroy();
  }
}
