import { type FileHandle, open } from 'node:fs/promises';
import { errnoCode } from '../../lib/errors.ts';

const BLOCK_BYTES = 64 * 1024;
const NEWLINE = 0x0a;

/** The last `count` whole lines of a file with their newlines, oldest first; none without the file. */
export async function readLastLines(path: string, count: number): Promise<string[]> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return [];
    throw error;
  }
  try {
    return await lastLines(file, count);
  } finally {
    await file.close();
  }
}

async function lastLines(file: FileHandle, count: number): Promise<string[]> {
  const blocks: Buffer[] = [];
  let at = (await file.stat()).size;
  let newlines = 0;
  // One newline more than asked: the line before it is the first that is certainly whole.
  while (at > 0 && newlines <= count) {
    const length = Math.min(BLOCK_BYTES, at);
    at -= length;
    const block = Buffer.alloc(length);
    await file.read(block, 0, length, at);
    for (const byte of block) if (byte === NEWLINE) newlines++;
    blocks.unshift(block);
  }
  const lines = Buffer.concat(blocks).toString('utf8').split('\n').slice(0, -1);
  return lines.slice(-count).map((line) => `${line}\n`);
}
