import { appendFileSync, closeSync, constants, openSync, readdirSync, statSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import type { StreamName } from '../output/output.ts';
import { pace } from '../output/pace.ts';
import { type Dropped, keptBytes, readDropped, spillPath, writeDropped } from '../output/spill.ts';

/** Reads what containers say while no engine is there: keeps the head, counts the rest. */
export class Drainer {
  readonly #sockets = new Set<Socket>();
  readonly #drained: DrainedContainer[] = [];
  readonly #onEnd: () => void;

  /** `onEnd` is called when no container says anything any more. */
  constructor(containersDir: string, onEnd: () => void) {
    this.#onEnd = onEnd;
    for (const id of readdirSync(containersDir)) this.#open(join(containersDir, id));
    if (this.#sockets.size === 0) setImmediate(onEnd);
  }

  /** Writes down what was dropped since the last time. */
  save(): void {
    for (const container of this.#drained) container.save();
  }

  /** What is in the pipes by now stays there: their writers hold them open. */
  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.save();
  }

  #open(folder: string): void {
    const container = new DrainedContainer(folder);
    this.#drained.push(container);
    for (const stream of ['stdout', 'stderr'] as const) {
      const socket = openFifo(join(folder, stream));
      if (socket === undefined) continue;
      this.#sockets.add(socket);
      socket.on('data', (chunk: Buffer) => container.hear(stream, chunk));
      pace(socket);
      socket.on('error', () => {});
      socket.once('close', () => {
        this.#sockets.delete(socket);
        if (this.#sockets.size === 0) this.#onEnd();
      });
    }
  }
}

class DrainedContainer {
  readonly #folder: string;
  readonly #spilled: Record<StreamName, number>;
  readonly #dropped: Dropped;
  #isSaved = true;

  constructor(folder: string) {
    this.#folder = folder;
    // An earlier drainer's, which no engine has read
    this.#spilled = { stdout: sizeOf(folder, 'stdout'), stderr: sizeOf(folder, 'stderr') };
    this.#dropped = readDropped(folder);
  }

  hear(stream: StreamName, chunk: Buffer): void {
    const kept = keptBytes(this.#spilled[stream], chunk.length);
    const isKept = kept > 0 && this.#keep(stream, chunk.subarray(0, kept));
    if (isKept) this.#spilled[stream] += kept;
    this.#drop(stream, chunk.length - (isKept ? kept : 0));
  }

  save(): void {
    if (this.#isSaved) return;
    try {
      writeDropped(this.#folder, this.#dropped);
      this.#isSaved = true;
    } catch {
      // The disk is full; it may have room later
    }
  }

  #drop(stream: StreamName, bytes: number): void {
    this.#dropped[stream] += bytes;
    if (bytes > 0) this.#isSaved = false;
  }

  /** False when the disk has no room: programs do not wait for it. */
  #keep(stream: StreamName, chunk: Buffer): boolean {
    try {
      appendFileSync(spillPath(this.#folder, stream), chunk, { mode: 0o600 });
      return true;
    } catch {
      return false;
    }
  }
}

function sizeOf(folder: string, stream: StreamName): number {
  return statSync(spillPath(folder, stream), { throwIfNoEntry: false })?.size ?? 0;
}

/** Undefined when there is none: a start that was never finished. */
function openFifo(path: string): Socket | undefined {
  const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;
  try {
    if (!statSync(path).isFIFO()) return undefined;
    const fd = openSync(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
    try {
      // Without it a stream whose writers have ended by now would never end (fifo(7))
      closeSync(openSync(path, O_WRONLY | O_NONBLOCK | O_NOFOLLOW));
      return new Socket({ fd, readable: true, writable: false });
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  } catch {
    return undefined;
  }
}
