import { closeSync, constants, openSync } from 'node:fs';
import { Socket } from 'node:net';
import { pace } from './pace.ts';

/** What is kept until somebody listens. */
const BACKLOG_BYTES_MAX = 64 * 1024;
/** So long more waits in the pipe for the first listener; then the oldest goes. */
const LISTENER_MS_MAX = 2_000;
const LAST_LISTENER_MS_MAX = 200;
const STATUS_BYTES_MAX = 64 * 1024;

export type StreamName = 'stdout' | 'stderr';
export type OutputListener = (stream: StreamName, chunk: Buffer) => void;

/**
 * The reading end of a FIFO, open before anybody writes: the kernel then keeps quiet until the
 * first writer, and ends the stream with the last one (fifo(7)). Reading begins later, as a stream
 * takes longer to make than a descriptor, and a start waits for the descriptor only.
 */
class FifoReader {
  readonly #fd: number;
  #socket: Socket | undefined;
  #closed = false;

  constructor(path: string) {
    this.#fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  }

  begin(): Socket {
    this.#socket = new Socket({ fd: this.#fd, readable: true, writable: false });
    // The stream's end is all there is to know
    this.#socket.on('error', () => {});
    return this.#socket;
  }

  close(): void {
    if (this.#socket !== undefined) this.#socket.destroy();
    else if (!this.#closed) closeSync(this.#fd);
    this.#closed = true;
  }
}

/** A container's stdout and stderr, chunk by chunk, to any number of listeners. */
export class ContainerOutput {
  readonly #listeners: OutputListener[] = [];
  readonly #readers = new Map<StreamName, FifoReader>();
  readonly #ends: Promise<void>[] = [];
  readonly #sockets: Socket[] = [];
  /** Chunks from before the first listener. */
  #backlog: { stream: StreamName; chunk: Buffer }[] = [];
  #backlogBytes = 0;
  /** Runs while output waits for the first listener. */
  #waiting: NodeJS.Timeout | undefined;

  constructor(paths: Readonly<Record<StreamName, string>>) {
    try {
      for (const stream of ['stdout', 'stderr'] as const) {
        this.#readers.set(stream, new FifoReader(paths[stream]));
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Reads from now on. */
  begin(): void {
    this.#waiting = setTimeout(() => this.#goOn(), LISTENER_MS_MAX).unref();
    for (const [stream, reader] of this.#readers) this.#read(stream, reader.begin());
  }

  /** Adds a listener; the first one hears the backlog at once. */
  listen(listener: OutputListener): void {
    this.#listeners.push(listener);
    const backlog = this.#backlog;
    this.#backlog = [];
    this.#backlogBytes = 0;
    for (const { stream, chunk } of backlog) listener(stream, chunk);
    this.#goOn();
  }

  /** Resolves when both streams have ended; their writers have, so that nothing waits for long. */
  async ended(): Promise<void> {
    const timer = setTimeout(() => this.#goOn(), LAST_LISTENER_MS_MAX);
    await Promise.all(this.#ends);
    clearTimeout(timer);
  }

  close(): void {
    clearTimeout(this.#waiting);
    for (const reader of this.#readers.values()) reader.close();
  }

  #read(stream: StreamName, socket: Socket): void {
    this.#sockets.push(socket);
    socket.on('data', (chunk: Buffer) => this.#hear(stream, chunk));
    pace(socket, () => this.#isHeld());
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
    if (this.#isHeld()) for (const socket of this.#sockets) socket.pause();
    else this.#trim();
  }

  #isHeld(): boolean {
    return this.#waiting !== undefined && this.#backlogBytes >= BACKLOG_BYTES_MAX;
  }

  /** Nobody waits any more, be it that the first listener came or that none did in time. */
  #goOn(): void {
    if (this.#waiting === undefined) return;
    clearTimeout(this.#waiting);
    this.#waiting = undefined;
    for (const socket of this.#sockets) socket.resume();
  }

  #trim(): void {
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

/** The first line of a status pipe. */
export class StatusLine {
  readonly #reader: FifoReader;
  /** Undefined when the pipe ended, or said too much, without a line. */
  readonly line: Promise<string | undefined>;
  readonly #resolve: (line: string | undefined) => void;

  constructor(path: string) {
    this.#reader = new FifoReader(path);
    const { promise, resolve } = Promise.withResolvers<string | undefined>();
    this.line = promise;
    this.#resolve = resolve;
  }

  /** Reads from now on. */
  begin(): void {
    const socket = this.#reader.begin();
    let text = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      text = Buffer.concat([text, chunk]);
      const end = text.indexOf(10);
      if (end !== -1) this.#resolve(text.toString('utf8', 0, end));
      if (end !== -1 || text.length > STATUS_BYTES_MAX) socket.destroy();
    });
    socket.once('close', () => this.#resolve(undefined));
  }

  close(): void {
    this.#reader.close();
    this.#resolve(undefined);
  }
}
