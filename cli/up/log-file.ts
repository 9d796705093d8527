import { closeSync, fstatSync, openSync, readSync, renameSync, statSync } from 'node:fs';
import { LIMITS } from '../../lib/limits.ts';

/** Opens a daemon's log for appending; one that has grown too large is kept once, as `.1`. */
export function openLogFile(path: string): number {
  try {
    if (statSync(path).size > LIMITS.logFileBytesMax) renameSync(path, `${path}.1`);
  } catch {
    // There is no log yet.
  }
  return openSync(path, 'a', 0o600);
}

const TAIL_BYTES = 16 * 1024;

/** The last lines of a log that were written after byte `from`, as a person reads them. */
export function logTail(path: string, options: { from?: number; lines: number }): string[] {
  const fd = openSync(path, 'r');
  try {
    const { size } = fstatSync(fd);
    const start = Math.max(options.from ?? 0, size - TAIL_BYTES);
    const buffer = Buffer.alloc(Math.max(0, size - start));
    readSync(fd, buffer, 0, buffer.length, start);
    const lines = buffer.toString('utf8').split('\n').filter(Boolean);
    return lines.slice(-options.lines).map(readableLine);
  } finally {
    closeSync(fd);
  }
}

interface JsonLine {
  level?: string;
  msg?: string;
  err?: { message?: string };
}

/** A JSON log line as `level phrase: error`; any other line as it is. */
export function readableLine(line: string): string {
  try {
    const { level, msg, err } = JSON.parse(line) as JsonLine;
    if (typeof msg !== 'string') return line;
    const error = err?.message === undefined ? '' : `: ${err.message}`;
    return `${level ?? 'info'} ${msg}${error}`;
  } catch {
    return line;
  }
}
