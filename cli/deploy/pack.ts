import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { packTar, type TarSource } from '../../lib/archive/tar.ts';
import { type ContextEntry, reasonOf, unreadable } from './walk.ts';

/**
 * The same time for every file: the archive's digest then depends on names, contents and the
 * executable bit alone, so a fresh checkout is the same deploy. 1980, as zip has no earlier year.
 */
const MTIME_MS = Date.UTC(1980, 0, 1);
const CHUNK_BYTES = 256 * 1024;

/** The folder as a tar, streamed; fails with ContextUnreadable when a file changes meanwhile. */
export function packContext(root: string, entries: readonly ContextEntry[]): Readable {
  return packTar(sources(root, entries));
}

function* sources(root: string, entries: readonly ContextEntry[]): Generator<TarSource> {
  for (const entry of entries) yield toSource(root, entry);
}

/** Owners and umask of this machine are no part of the function. */
function toSource(root: string, entry: ContextEntry): TarSource {
  const isOpen = entry.type !== 'file' || entry.executable;
  return {
    name: entry.path,
    type: entry.type,
    mode: entry.type === 'symlink' ? 0o777 : isOpen ? 0o755 : 0o644,
    uid: 0,
    gid: 0,
    mtimeMs: MTIME_MS,
    sizeBytes: entry.sizeBytes,
    ...(entry.linkname === undefined ? {} : { linkname: entry.linkname }),
    ...(entry.type === 'file' && entry.sizeBytes > 0 ? { body: () => read(root, entry) } : {}),
  };
}

async function* read(root: string, entry: ContextEntry): AsyncGenerator<Buffer> {
  const file = await open(join(root, entry.path), 'r').catch((error: unknown) => {
    throw unreadable(entry.path, reasonOf(error), error);
  });
  try {
    let left = entry.sizeBytes;
    while (left > 0) {
      const { bytesRead, buffer } = await file.read(Buffer.alloc(Math.min(left, CHUNK_BYTES)));
      if (bytesRead === 0) throw changed(entry);
      left -= bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
    const after = await file.stat();
    if (after.size !== entry.sizeBytes || after.mtimeMs !== entry.mtimeMs) throw changed(entry);
  } finally {
    await file.close();
  }
}

function changed(entry: ContextEntry): Error {
  return unreadable(entry.path, 'it changed while it was read');
}
