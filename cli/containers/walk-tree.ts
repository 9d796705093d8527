import { createReadStream } from 'node:fs';
import { lstat, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { TarSource } from '../../lib/archive/tar.ts';

/**
 * A file or folder of this machine as entries of a tar whose root is called `name`. Links stay links; sockets,
 * FIFOs and devices are left out. Owners are root's, as docker cp without `-a` has them.
 */
export async function* walkTree(path: string, name: string): AsyncGenerator<TarSource> {
  const found = await lstat(path);
  const header = { name, mode: found.mode & 0o7777, uid: 0, gid: 0, mtimeMs: found.mtimeMs };
  if (found.isSymbolicLink()) {
    yield { ...header, type: 'symlink', sizeBytes: 0, linkname: await readlink(path) };
  } else if (found.isFile()) {
    const sizeBytes = found.size;
    const body = () => createReadStream(path, { end: Math.max(0, sizeBytes - 1) });
    yield { ...header, type: 'file', sizeBytes, ...(sizeBytes === 0 ? {} : { body }) };
  } else if (found.isDirectory()) {
    yield { ...header, type: 'directory', sizeBytes: 0 };
    const children = await readdir(path);
    for (const child of children.sort()) yield* walkTree(join(path, child), `${name}/${child}`);
  }
}
