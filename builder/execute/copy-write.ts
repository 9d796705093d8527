import { createHash } from 'node:crypto';
import { createReadStream, readFileSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import type { TarSource } from '../../lib/archive/tar.ts';
import { sha256 } from '../../lib/digest.ts';
import type { CopyItem } from './copy-items.ts';

/**
 * Files up to this size are read at once: a trip to the thread pool takes ten times as
 * long. Others must not wait for a large one.
 */
const SMALL_BYTES_MAX = 64 * 1024;
/** The event loop gets its turn after so many files. */
const FILES_IN_A_ROW = 64;

/**
 * Identity of what a COPY makes: paths, kinds, modes, owners, link targets and contents; not the
 * times, so that a checkout of the same files is the same.
 */
export async function hashItems(items: readonly CopyItem[], signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  for await (const item of inTurns(items, signal)) {
    const { path, kind, mode, uid, gid, target } = item;
    const content = kind === 'file' ? await hashContent(item) : target;
    hash.update(`${JSON.stringify([path, kind, mode, uid, gid, content])}\n`);
  }
  return hash.digest('hex');
}

async function hashContent({ content = '', sizeBytes }: CopyItem): Promise<string> {
  if (typeof content !== 'string') return sha256(content);
  if (sizeBytes <= SMALL_BYTES_MAX) return sha256(readFileSync(content));
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(content)) hash.update(chunk as Buffer);
  return `sha256:${hash.digest('hex')}`;
}

/** The items as entries of a layer, all with the time `mtimeMs`. */
export async function* itemEntries(
  items: readonly CopyItem[],
  { mtimeMs, signal }: { mtimeMs: number; signal: AbortSignal },
): AsyncGenerator<TarSource> {
  for await (const { path, kind, mode, uid, gid, target, content = '', sizeBytes } of inTurns(
    items,
    signal,
  )) {
    const common = { name: path.slice(1), mode, uid, gid, mtimeMs };
    if (kind === 'directory') yield { ...common, type: 'directory', sizeBytes: 0 };
    else if (kind === 'symlink') {
      yield { ...common, type: 'symlink', sizeBytes: 0, linkname: target ?? '' };
    } else yield { ...common, type: 'file', sizeBytes, body: bodyOf(content, sizeBytes) };
  }
}

function bodyOf(content: string | Buffer, sizeBytes: number): NonNullable<TarSource['body']> {
  if (typeof content !== 'string') return content;
  return sizeBytes <= SMALL_BYTES_MAX ? readFileSync(content) : () => createReadStream(content);
}

async function* inTurns(items: readonly CopyItem[], signal: AbortSignal): AsyncGenerator<CopyItem> {
  for (const [index, item] of items.entries()) {
    if (index % FILES_IN_A_ROW === 0) {
      await setImmediate();
      signal.throwIfAborted();
    }
    yield item;
  }
}
