import { createHash } from 'node:crypto';
import { constants, createReadStream } from 'node:fs';
import {
  chmod,
  chown,
  copyFile,
  lchown,
  lutimes,
  mkdir,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { sha256 } from '../../lib/digest.ts';
import type { CopyItem } from './copy-items.ts';
import { forEachAtOnce } from './for-each-at-once.ts';

const FILES_AT_ONCE = 8;

/**
 * Identity of what a COPY makes: paths, kinds, modes, owners, link targets and contents; not the
 * times, so that a checkout of the same files is the same.
 */
export async function hashItems(items: readonly CopyItem[], signal: AbortSignal): Promise<string> {
  const contents = new Map<CopyItem, string>();
  const files = items.filter((item) => item.kind === 'file');
  await forEachAtOnce(files, { atOnce: FILES_AT_ONCE, signal }, async (item) => {
    contents.set(item, await hashContent(item));
  });
  const hash = createHash('sha256');
  for (const item of items) {
    const { path, kind, mode, uid, gid, target } = item;
    hash.update(`${JSON.stringify([path, kind, mode, uid, gid, target ?? contents.get(item)])}\n`);
  }
  return hash.digest('hex');
}

async function hashContent({ content = '' }: CopyItem): Promise<string> {
  if (typeof content !== 'string') return sha256(content);
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(content)) hash.update(chunk as Buffer);
  return `sha256:${hash.digest('hex')}`;
}

/** Writes the items into `folder`, which is made, with the time `mtimeMs` on all of them. */
export async function writeItems(
  folder: string,
  items: readonly CopyItem[],
  { mtimeMs, signal }: { mtimeMs: number; signal: AbortSignal },
): Promise<void> {
  const directories = items.filter((item) => item.kind === 'directory');
  const leaves = items.filter((item) => item.kind !== 'directory');
  const time = mtimeMs / 1000;
  await mkdir(folder, { mode: 0o755 });
  for (const item of directories) await mkdir(join(folder, item.path), { mode: 0o700 });
  await forEachAtOnce(leaves, { atOnce: FILES_AT_ONCE, signal }, (item) =>
    writeLeaf(join(folder, item.path), item, time),
  );
  // From the deepest up: a directory's time changes while names are put into it.
  for (const item of directories.toReversed()) {
    const path = join(folder, item.path);
    await chown(path, item.uid, item.gid);
    await chmod(path, item.mode);
    await utimes(path, time, time);
  }
}

async function writeLeaf(path: string, item: CopyItem, time: number): Promise<void> {
  if (item.kind === 'symlink') {
    await symlink(item.target ?? '', path);
    await lchown(path, item.uid, item.gid);
    await lutimes(path, time, time);
    return;
  }
  const { content = '' } = item;
  if (typeof content === 'string') {
    await copyFile(content, path, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
  } else {
    await writeFile(path, content, { flag: 'wx' });
  }
  // The owner first: changing it clears setuid.
  await chown(path, item.uid, item.gid);
  await chmod(path, item.mode);
  await utimes(path, time, time);
}
