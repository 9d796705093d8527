import { mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoCode } from '../../lib/errors.ts';
import { LIMITS } from '../../lib/limits.ts';
import type { LogLine } from '../../lib/log-line.ts';
import { LastLines } from './last-lines.ts';

export interface LogFilesOptions {
  /** Folder of its two files. */
  folder: string;
  fileBytesMax?: number;
  /** What waits for the disk in all logs of a node; default: this one stands alone. */
  waiting?: Waiting;
  /** Bytes of output that could not be kept, and why when the disk refused them. */
  onDropped(bytes: number, error?: unknown): void;
}

/** Bytes that wait to be written. */
export interface Waiting {
  bytes: number;
}

interface Batch {
  lines: string[];
  bytes: number;
  /** Of what was written by the container: what is lost is counted in that. */
  textBytes: number;
}

/** Hears a line as it stands in the file, and what it is. */
type Listener = (json: string, line: LogLine) => void;

/**
 * The log of one function, or of one container, on this node: `current.ndjson` and the one before
 * it, each at most `fileBytesMax`. Appending never waits for the disk; everything that touches the files runs one
 * after the other.
 */
export class LogFiles {
  readonly #options: LogFilesOptions;
  readonly #fileBytesMax: number;
  readonly #allWaiting: Waiting;
  readonly #listeners = new Set<Listener>();
  #work: Promise<void> = Promise.resolve();
  #open: Batch | undefined;
  #waitingBytes = 0;
  #currentBytes: number | undefined;

  constructor(options: LogFilesOptions) {
    this.#options = options;
    this.#fileBytesMax = options.fileBytesMax ?? LIMITS.logFileBytesMax;
    this.#allWaiting = options.waiting ?? { bytes: 0 };
  }

  /** Nobody follows and nothing waits to be written. */
  get idle(): boolean {
    return this.#listeners.size === 0 && this.#waitingBytes === 0;
  }

  append(line: LogLine): void {
    const json = `${JSON.stringify(line)}\n`;
    for (const listener of this.#listeners) listener(json, line);
    const bytes = Buffer.byteLength(json);
    const textBytes = Buffer.byteLength(line.text);
    const isOver = this.#allWaiting.bytes + bytes > LIMITS.logWaitingBytesMax;
    if (isOver || this.#waitingBytes + bytes > LIMITS.logBurstBytes) {
      this.#options.onDropped(textBytes);
      return;
    }
    this.#waitingBytes += bytes;
    this.#allWaiting.bytes += bytes;
    const batch = this.#open ?? this.#openBatch();
    batch.lines.push(json);
    batch.bytes += bytes;
    batch.textBytes += textBytes;
  }

  /** Resolves when everything appended before is in the files. */
  flush(): Promise<void> {
    this.#open = undefined;
    return this.#work;
  }

  /**
   * The last `count` lines that are wanted, as they stand now: parts of the files, oldest first, each to be
   * closed by the caller.
   */
  async tail(
    count: number,
    isWanted: (line: LogLine) => boolean = () => true,
  ): Promise<LastLines[]> {
    // Closing the batch fixes the point up to which this reads: what comes later is the followers'.
    this.#open = undefined;
    const wanted = (json: string): boolean => {
      const line = parseLine(json);
      return line !== undefined && isWanted(line);
    };
    const parts: LastLines[] = [];
    try {
      await this.#enqueue(async () => {
        let left = count;
        for (const name of ['current', 'previous'] as const) {
          const options = { count: left, isWanted: wanted };
          const part = left === 0 ? undefined : await LastLines.find(this.#path(name), options);
          if (part !== undefined) parts.unshift(part);
          left -= part?.count ?? 0;
        }
      });
      return parts;
    } catch (error) {
      await closeAll(parts);
      throw error;
    }
  }

  /** Removes the files, after what was appended before is written; nothing may follow. */
  async remove(): Promise<void> {
    this.#open = undefined;
    await this.#enqueue(() => rm(this.#options.folder, { recursive: true, force: true }));
  }

  /** Calls `listener` with each line appended from now on; returns how to stop that. */
  follow(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #path(name: 'current' | 'previous'): string {
    return join(this.#options.folder, `${name}.ndjson`);
  }

  #openBatch(): Batch {
    const batch: Batch = { lines: [], bytes: 0, textBytes: 0 };
    this.#open = batch;
    void this.#enqueue(async () => {
      if (this.#open === batch) this.#open = undefined;
      await this.#write(batch);
    });
    return batch;
  }

  #enqueue(step: () => Promise<void>): Promise<void> {
    const done = this.#work.then(step);
    this.#work = done.catch(() => {});
    return done;
  }

  async #write(batch: Batch): Promise<void> {
    try {
      await this.#writeOrThrow(batch);
    } catch (error) {
      this.#currentBytes = undefined;
      this.#options.onDropped(batch.textBytes, error);
    } finally {
      this.#waitingBytes -= batch.bytes;
      this.#allWaiting.bytes -= batch.bytes;
    }
  }

  async #writeOrThrow(batch: Batch): Promise<void> {
    let sizeBytes = this.#currentBytes ?? (await this.#load());
    if (sizeBytes > 0 && sizeBytes + batch.bytes > this.#fileBytesMax) {
      await rename(this.#path('current'), this.#path('previous'));
      sizeBytes = 0;
    }
    const file = await open(this.#path('current'), 'a', 0o600);
    try {
      await file.appendFile(batch.lines.join(''));
    } finally {
      await file.close();
    }
    this.#currentBytes = sizeBytes + batch.bytes;
  }

  /** Size of the current file. A line that a crash cut off is ended, so that the next one stands alone. */
  async #load(): Promise<number> {
    await mkdir(this.#options.folder, { recursive: true, mode: 0o700 });
    try {
      const { size } = await stat(this.#path('current'));
      if (size === 0 || (await endsWithNewline(this.#path('current'), size))) return size;
      const file = await open(this.#path('current'), 'a');
      await file.appendFile('\n').finally(() => file.close());
      return size + 1;
    } catch (error) {
      if (errnoCode(error) === 'ENOENT') return 0;
      throw error;
    }
  }
}

/** Closes parts of a log; one that is closed already stays so. */
export async function closeAll(parts: readonly LastLines[]): Promise<void> {
  await Promise.all(parts.map((part) => part.close()));
}

/** Undefined for a line that a crash of the machine cut off. */
function parseLine(json: string): LogLine | undefined {
  try {
    return JSON.parse(json) as LogLine;
  } catch {
    return undefined;
  }
}

async function endsWithNewline(path: string, sizeBytes: number): Promise<boolean> {
  const file = await open(path, 'r');
  try {
    const { buffer } = await file.read(Buffer.alloc(1), 0, 1, sizeBytes - 1);
    return buffer[0] === 0x0a;
  } finally {
    await file.close();
  }
}
