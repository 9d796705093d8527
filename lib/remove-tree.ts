import { randomUUID } from 'node:crypto';
import { readdir, rename, rm } from 'node:fs/promises';
import { errnoCode } from './errors.ts';

/** A folder whose path is longer than its root's by more than this is moved up. */
const BELOW_ROOT_BYTES_MAX = 512;
const SLASH = Buffer.from('/');

/**
 * Removes a folder with all in it, however deep: whoever made it may have gone down folder by folder,
 * to where no path of the kernel's 4096 bytes reaches. Nothing there is as good. Nobody else may
 * change it meanwhile.
 */
export async function removeTree(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true });
  } catch (error) {
    if (errnoCode(error) !== 'ENAMETOOLONG') throw error;
    await flatten(Buffer.from(path));
    await rm(path, { recursive: true, force: true });
  }
}

/** Moves deep folders to the root, until every path is short. Links are not followed. */
async function flatten(root: Buffer): Promise<void> {
  const pending = [root];
  for (let folder = pending.pop(); folder !== undefined; folder = pending.pop()) {
    for (const entry of await readdir(folder, { withFileTypes: true, encoding: 'buffer' })) {
      if (!entry.isDirectory()) continue;
      const path = Buffer.concat([folder, SLASH, entry.name]);
      if (path.length - root.length <= BELOW_ROOT_BYTES_MAX) {
        pending.push(path);
        continue;
      }
      const moved = Buffer.concat([root, SLASH, Buffer.from(randomUUID())]);
      await rename(path, moved);
      pending.push(moved);
    }
  }
}
