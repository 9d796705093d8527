import { lstatSync, readdirSync, readlinkSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import type { Excludes } from '../../lib/context/dockerignore.ts';
import { errnoCode, HearthError } from '../../lib/errors.ts';
import { LIMITS } from '../../lib/limits.ts';

/** One thing in the folder that will be packed; `path` is relative with `/` between names. */
export interface ContextEntry {
  path: string;
  type: 'file' | 'directory' | 'symlink';
  sizeBytes: number;
  executable: boolean;
  /** As found, to see a change until it is read. */
  mtimeMs: number;
  linkname?: string;
}

export interface Walk {
  /** In the order of their paths' bytes, so that the same folder gives the same archive. */
  entries: ContextEntry[];
  totalBytes: number;
  /** Sockets, FIFOs and devices, which are left out. */
  skipped: string[];
}

export interface WalkOptions {
  root: string;
  excludes: Excludes;
  /** Packed whatever the ignore file says, as Docker does with the Dockerfile. */
  always: ReadonlySet<string>;
}

/**
 * Looks at every file that is not excluded. Symbolic links are kept as links and never followed, so
 * a loop cannot hang it and nothing from outside the folder gets in.
 * @throws HearthError ContextUnreadable, ContextTooLarge
 */
export function walkContext(options: WalkOptions): Walk {
  const walk: Walk = { entries: [], totalBytes: 0, skipped: [] };
  visit(options, '', walk);
  return walk;
}

function visit(options: WalkOptions, folder: string, walk: Walk): void {
  for (const name of names(join(options.root, folder), folder)) {
    const path = folder === '' ? name : `${folder}/${name}`;
    if (Buffer.byteLength(path) > LIMITS.pathBytesMax) {
      throw unreadable(path.slice(0, 80), `path longer than ${LIMITS.pathBytesMax} bytes`);
    }
    const isExcluded = options.excludes(path) && !options.always.has(path);
    const stats = look(join(options.root, path), path);
    if (isExcluded && !(stats.isDirectory() && mayHoldMore(options, path))) continue;
    if (!isExcluded) add(walk, path, stats, options.root);
    if (stats.isDirectory()) visit(options, path, walk);
  }
}

/** Whether something below an excluded directory may still come back. */
function mayHoldMore({ excludes, always }: WalkOptions, path: string): boolean {
  return excludes.hasExceptions || [...always].some((kept) => kept.startsWith(`${path}/`));
}

function names(path: string, shown: string): string[] {
  let raw: Buffer[];
  try {
    raw = readdirSync(path, { encoding: 'buffer' });
  } catch (error) {
    throw unreadable(shown === '' ? path : shown, reasonOf(error), error);
  }
  raw.sort(Buffer.compare);
  return raw.map((bytes) => {
    const name = bytes.toString('utf8');
    if (Buffer.from(name).equals(bytes)) return name;
    throw unreadable(shown === '' ? name : `${shown}/${name}`, 'its name is not UTF-8');
  });
}

function look(absolute: string, path: string): Stats {
  try {
    return lstatSync(absolute);
  } catch (error) {
    throw unreadable(path, reasonOf(error), error);
  }
}

function add(walk: Walk, path: string, stats: Stats, root: string): void {
  const type = typeOf(stats);
  if (type === undefined) {
    walk.skipped.push(path);
    return;
  }
  if (walk.entries.length >= LIMITS.contextEntriesMax) {
    const limit = LIMITS.contextEntriesMax;
    throw new HearthError('ContextTooLarge', `the folder has more than ${limit} files`, {
      hint: 'leave folders out with .dockerignore',
    });
  }
  const sizeBytes = type === 'file' ? stats.size : 0;
  walk.totalBytes += sizeBytes;
  walk.entries.push({
    path,
    type,
    sizeBytes,
    executable: (stats.mode & 0o111) !== 0,
    mtimeMs: stats.mtimeMs,
    ...(type === 'symlink' ? { linkname: readlinkSync(join(root, path)) } : {}),
  });
}

function typeOf(stats: Stats): ContextEntry['type'] | undefined {
  if (stats.isFile()) return 'file';
  if (stats.isDirectory()) return 'directory';
  return stats.isSymbolicLink() ? 'symlink' : undefined;
}

/** An error about one file of the folder: `secret.pem: permission denied`. */
export function unreadable(path: string, why: string, cause?: unknown): HearthError {
  return new HearthError('ContextUnreadable', `${path}: ${why}`, {
    hint: 'leave it out with .dockerignore, or make it readable',
    cause,
  });
}

/** The reason of a failed file operation in words. */
export function reasonOf(error: unknown): string {
  const code = errnoCode(error) ?? '';
  const words: Readonly<Record<string, string>> = {
    EACCES: 'permission denied',
    EPERM: 'permission denied',
    ENOENT: 'it is gone; it changed while it was read',
    EIO: 'the disk cannot read it',
  };
  return words[code] ?? (error instanceof Error ? error.message : String(error));
}
