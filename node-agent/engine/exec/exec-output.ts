import type { Socket } from 'node:net';
import { Readable } from 'node:stream';

/** A program's children may hold its output open: quiet for so long, it counts as over. */
const QUIET_MS = 500;
const LOOK_MS = 100;

/**
 * Output of a program that was executed in a container, at its reader's pace. It ends when all that
 * hold it have ended, or when the program has and nothing comes any more. To be read or destroyed.
 */
export class ExecOutput extends Readable {
  readonly #socket: Socket;
  #heardMs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(socket: Socket) {
    super();
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#heardMs = performance.now();
      if (!this.push(chunk)) socket.pause();
    });
    // A terminal ends with EIO; how a stream ended says no more than that it did
    socket.on('error', () => {});
    socket.once('close', () => this.#end());
  }

  /** The program has ended. */
  finish(): void {
    this.#heardMs = performance.now();
    this.#timer ??= setInterval(() => {
      if (this.#socket.isPaused()) this.#heardMs = performance.now();
      if (performance.now() - this.#heardMs >= QUIET_MS) this.#socket.destroy();
    }, LOOK_MS).unref();
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    clearInterval(this.#timer);
    this.#socket.destroy();
    done(error);
  }

  #end(): void {
    clearInterval(this.#timer);
    if (!this.readableEnded && !this.destroyed) this.push(null);
  }
}
