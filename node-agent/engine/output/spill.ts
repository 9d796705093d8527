import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LIMITS } from '../../../lib/limits.ts';
import type { StreamName } from './output.ts';

const STREAMS: readonly StreamName[] = ['stdout', 'stderr'];
const DROPPED_FILE = 'dropped.json';

/** Bytes of each stream that nobody could keep. */
export type Dropped = Record<StreamName, number>;

/** What a container said while no engine was there. */
export interface Spilled {
  chunks: readonly { stream: StreamName; chunk: Buffer }[];
  /** Bytes of both streams that came after what could be kept. */
  droppedBytes: number;
}

/** Where the drainer keeps the head of a stream, in the container's folder. */
export function spillPath(folder: string, stream: StreamName): string {
  return join(folder, `${stream}.spill`);
}

/** How much of a chunk is kept when so much of its stream is already. */
export function keptBytes(spilledBytes: number, chunkBytes: number): number {
  return Math.max(0, Math.min(chunkBytes, LIMITS.outputSpillBytes - spilledBytes));
}

export function readDropped(folder: string): Dropped {
  const none = { stdout: 0, stderr: 0 };
  try {
    const found = JSON.parse(readFileSync(join(folder, DROPPED_FILE), 'utf8'));
    return { stdout: Number(found.stdout) || 0, stderr: Number(found.stderr) || 0 };
  } catch {
    return none;
  }
}

export function writeDropped(folder: string, dropped: Dropped): void {
  writeFileSync(join(folder, DROPPED_FILE), JSON.stringify(dropped), { mode: 0o600 });
}

/** All that was said; removed once somebody has it. */
export function readSpill(folder: string): Spilled {
  const chunks = STREAMS.flatMap((stream) => {
    const chunk = readIfThere(spillPath(folder, stream));
    return chunk === undefined || chunk.length === 0 ? [] : [{ stream, chunk }];
  });
  const { stdout, stderr } = readDropped(folder);
  return { chunks, droppedBytes: stdout + stderr };
}

export function removeSpill(folder: string): void {
  for (const stream of STREAMS) rmSync(spillPath(folder, stream), { force: true });
  rmSync(join(folder, DROPPED_FILE), { force: true });
}

function readIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}
