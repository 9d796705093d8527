import { type FileHandle, open } from 'node:fs/promises';
import { errnoCode } from '../../lib/errors.ts';

const BLOCK_BYTES = 64 * 1024;
const NEWLINE = 0x0a;

export interface LastLinesOptions {
  /** Lines at most. */
  count: number;
  /** Whether a line counts; given without its newline. Asked twice, it must say the same. */
  isWanted(line: string): boolean;
}

/** From the first of some lines to the end of the last, in bytes of their file. */
interface Section {
  startBytes: number;
  endBytes: number;
  count: number;
}

/**
 * The last wanted lines of a file. Which they are is known, their text is read when it is asked for:
 * a slow reader holds an open file, not the lines. What stands behind the last newline is no line.
 */
export class LastLines {
  readonly #file: FileHandle;
  readonly #section: Section;
  readonly #isWanted: LastLinesOptions['isWanted'];

  private constructor(file: FileHandle, section: Section, { isWanted }: LastLinesOptions) {
    this.#file = file;
    this.#section = section;
    this.#isWanted = isWanted;
  }

  /** Undefined when there are none, as without the file. */
  static async find(path: string, options: LastLinesOptions): Promise<LastLines | undefined> {
    let file: FileHandle;
    try {
      file = await open(path, 'r');
    } catch (error) {
      if (errnoCode(error) === 'ENOENT') return undefined;
      throw error;
    }
    try {
      const section = await sectionOf(file, options);
      if (section.count > 0) return new LastLines(file, section, options);
    } catch (error) {
      await file.close();
      throw error;
    }
    await file.close();
    return undefined;
  }

  get count(): number {
    return this.#section.count;
  }

  /** The lines with their newlines, oldest first, some at a time. */
  async *texts(): AsyncGenerator<string> {
    const { startBytes, endBytes } = this.#section;
    let rest: Buffer = Buffer.alloc(0);
    for (let at = startBytes; at < endBytes; ) {
      const block = await readBlock(this.#file, at, Math.min(BLOCK_BYTES, endBytes - at));
      at += block.length;
      const data = Buffer.concat([rest, block]);
      const end = data.lastIndexOf(NEWLINE) + 1;
      rest = data.subarray(end);
      const lines = data.toString('utf8', 0, end).split('\n').slice(0, -1);
      const text = lines.filter(this.#isWanted).map((line) => `${line}\n`);
      if (text.length > 0) yield text.join('');
    }
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

/** Reads backwards until there are enough. */
async function sectionOf(file: FileHandle, options: LastLinesOptions): Promise<Section> {
  const { count, isWanted } = options;
  const { size } = await file.stat();
  const section: Section = { startBytes: size, endBytes: size, count: 0 };
  /** Of a line that begins in an earlier block, with all that follows it up to its newline. */
  let rest: Buffer = Buffer.alloc(0);
  for (let at = size; at > 0 && section.count < count; ) {
    const length = Math.min(BLOCK_BYTES, at);
    at -= length;
    const data = Buffer.concat([await readBlock(file, at, length), rest]);
    const first = at === 0 ? 0 : data.indexOf(NEWLINE) + 1;
    rest = first === 0 && at > 0 ? data : data.subarray(0, first);
    if (rest === data) continue;
    for (const { start, end } of linesFromEnd(data, first)) {
      if (section.count === count) break;
      if (!isWanted(data.toString('utf8', start, end))) continue;
      section.count++;
      section.startBytes = at + start;
    }
  }
  return section;
}

/** Where the whole lines of `data` behind `first` are, the last one first. */
function* linesFromEnd(data: Buffer, first: number): Generator<{ start: number; end: number }> {
  for (let end = data.lastIndexOf(NEWLINE); end >= first; ) {
    const start = end === first ? first : Math.max(first, data.lastIndexOf(NEWLINE, end - 1) + 1);
    yield { start, end };
    end = start - 1;
  }
}

/** @throws Error when the file has become shorter */
async function readBlock(file: FileHandle, at: number, length: number): Promise<Buffer> {
  const block = Buffer.alloc(length);
  const { bytesRead } = await file.read(block, 0, length, at);
  if (bytesRead === 0) throw new Error('a log file became shorter while it was read');
  return block.subarray(0, bytesRead);
}
