import { constants } from 'node:fs';
import { lstat, open } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoCode } from '../../lib/errors.ts';

/**
 * A small text file of an image, as its unpacked layers (lowest first) show it: the topmost layer
 * that has the path decides. Only regular files of at most `bytesMax` in real folders are read: the
 * layers' content is the user's, and a symlink in them would lead out of the image. A whiteout (a
 * character device, kernel's overlayfs.rst) hides what is below. Undefined when there is none.
 */
export async function readLayerFile(
  layers: readonly string[],
  path: readonly string[],
  bytesMax: number,
): Promise<string | undefined> {
  for (const layer of layers.toReversed()) {
    const found = await lookUp(layer, path);
    if (found === 'absent') continue;
    return found === 'hidden' ? undefined : await readRegular(join(layer, ...path), bytesMax);
  }
  return undefined;
}

async function lookUp(
  layer: string,
  path: readonly string[],
): Promise<'absent' | 'hidden' | 'file'> {
  let at = layer;
  for (const [index, part] of path.entries()) {
    at = join(at, part);
    const stat = await lstatOrUndefined(at);
    if (stat === undefined) return 'absent';
    const isLast = index === path.length - 1;
    if (isLast ? !stat.isFile() : !stat.isDirectory()) return 'hidden';
  }
  return 'file';
}

async function lstatOrUndefined(
  path: string,
): Promise<Awaited<ReturnType<typeof lstat>> | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function readRegular(path: string, bytesMax: number): Promise<string | undefined> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const stat = await file.stat();
    if (!stat.isFile() || stat.size > bytesMax) return undefined;
    const buffer = Buffer.alloc(stat.size);
    const { bytesRead } = await file.read(buffer, 0, stat.size, 0);
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await file.close();
  }
}
