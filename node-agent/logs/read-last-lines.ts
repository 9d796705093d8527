import { type FileHandle, open } from 'node:fs/promises';
import { errnoCode } from '../../lib/errors.ts';

const BLOCK_BYTES = 64 * 1024;
const NEWLINE = 0x0a;

export interface LastLinesOptions {
  /** Lines at most. */
  count: number;
  /** Whether a line counts; given without its newline. */
  isWanted(line: string): boolean;
}

/**
 * The last wanted lines of a file with their newlines, oldest first; none without the file. What
 * stands behind the last newline is no line.
 */
export async function readLastLines(path: string, options: LastLinesOptions): Promise<string[]> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return [];
    throw error;
  }
  try {
    return await lastLines(file, options);
  } finally {
    await file.close();
  }
}

async function lastLines(file: FileHandle, options: LastLinesOptions): Promise<string[]> {
  const { count, isWanted } = options;
  const found: string[] = [];
  /** Of a line that begins in an earlier block, with all that follows it up to its newline. */
  let rest = Buffer.alloc(0);
  let at = (await file.stat()).size;
  while (at > 0 && found.length < count) {
    const length = Math.min(BLOCK_BYTES, at);
    at -= length;
    const block = Buffer.alloc(length);
    await file.read(block, 0, length, at);
    const data = Buffer.concat([block, rest]);
    const start = at === 0 ? 0 : data.indexOf(NEWLINE) + 1;
    rest = start === 0 && at > 0 ? data : data.subarray(0, start);
    if (rest === data) continue;
    const lines = data.toString('utf8', start).split('\n').slice(0, -1);
    for (const line of lines.toReversed()) {
      if (found.length < count && isWanted(line)) found.push(`${line}\n`);
    }
  }
  return found.toReversed();
}
