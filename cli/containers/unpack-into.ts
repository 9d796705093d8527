import { constants, createWriteStream } from 'node:fs';
import { chmod, link, lstat, mkdir, open, rm, symlink, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { TarEntry } from '../../lib/archive/tar.ts';
import { errnoCode, HearthError } from '../../lib/errors.ts';

export interface Unpacking {
  entries: AsyncIterable<TarEntry>;
  /** Name of the archive's root where it is unpacked. */
  root: string;
  /** Its name in the archive. */
  from: string;
}

/**
 * Unpacks what a container gave into `folder`. The archive is hostile: nothing is written through a link, links
 * are made last, and no entry leaves the root (CVE-2018-15664, client side).
 * @throws HearthError ResponseInvalid
 */
export async function unpackInto(folder: string, unpacking: Unpacking): Promise<void> {
  const links: { path: string; entry: TarEntry }[] = [];
  const folders: { path: string; entry: TarEntry }[] = [];
  for await (const entry of unpacking.entries) {
    const path = join(folder, localName(entry.name, unpacking));
    await refuseLinks(folder, dirname(path));
    if (entry.type === 'directory') {
      await makeFolder(path);
      folders.push({ path, entry });
    } else if (entry.type === 'file') await writeFile(path, entry);
    else if (entry.type === 'symlink' || entry.type === 'link') links.push({ path, entry });
  }
  for (const { path, entry } of links) {
    // One that was made just now may stand on the way to the next
    await refuseLinks(folder, dirname(path));
    await rm(path, { force: true });
    if (entry.type === 'symlink') await symlink(entry.linkname ?? '', path);
    else await linkInside(folder, { path, target: localName(entry.linkname ?? '', unpacking) });
  }
  // Last, and the innermost first: a folder may forbid writing, and each write changes its time
  for (const { path, entry } of folders.reverse()) await setTimes(path, entry);
}

/** The entry's path below `folder`. */
function localName(name: string, { from, root }: Unpacking): string {
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..') || name.includes('\0')) throw hostile(name);
  const [first, ...rest] = parts;
  // The root of a container is called "/"
  const inRoot = from === '/' ? parts : rest;
  if (from !== '/' && first !== from) throw hostile(name);
  return [root, ...inRoot].join('/');
}

function hostile(name: string): HearthError {
  const shown = JSON.stringify(name.slice(0, 200));
  return new HearthError(
    'ResponseInvalid',
    `the archive has an entry outside of its root: ${shown}`,
  );
}

/** Every folder between `folder` and `path` must be one, not a link to one. */
async function refuseLinks(folder: string, path: string): Promise<void> {
  for (let at = path; at.length > folder.length; at = dirname(at)) {
    const found = await lstat(at).catch(() => undefined);
    if (found?.isSymbolicLink() === true) {
      throw new HearthError('ResponseInvalid', `${at} is a link: nothing is written through it`, {
        hint: 'copy to another folder, or remove the link',
      });
    }
  }
}

async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
    if ((await lstat(path)).isDirectory()) return;
  } catch (error) {
    if (errnoCode(error) !== 'EEXIST') throw error;
  }
  throw new HearthError('ResponseInvalid', `${path} is in the way: it is no folder`);
}

async function writeFile(path: string, entry: TarEntry): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await rm(path, { force: true });
  const flags = constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY | constants.O_NOFOLLOW;
  const file = await open(path, flags, 0o600);
  await pipeline(entry.body, createWriteStream(path, { fd: file.fd, autoClose: false })).finally(
    () => file.close(),
  );
  await setTimes(path, entry);
}

/** Only to a file that this archive put inside. */
async function linkInside(
  folder: string,
  { path, target }: { path: string; target: string },
): Promise<void> {
  const whole = join(folder, target);
  await refuseLinks(folder, whole);
  await link(whole, path);
}

/** Never with setuid or setgid: the owner here is the caller. */
async function setTimes(path: string, { mode, mtimeMs }: TarEntry): Promise<void> {
  await chmod(path, mode & 0o1777);
  await utimes(path, mtimeMs / 1000, mtimeMs / 1000);
}
