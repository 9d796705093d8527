import { fstatSync, readdirSync, writeSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { EntryRefused, splitName } from '../../lib/archive/entry-name.ts';
import type { TarHeader } from '../../lib/archive/tar.ts';
import { errnoCode } from '../../lib/errors.ts';
import { LIMITS } from '../../lib/limits.ts';
import {
  AT_EMPTY_PATH,
  AT_REMOVEDIR,
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_CREAT,
  O_EXCL,
  O_NOFOLLOW,
  O_PATH,
  O_WRONLY,
  S_IFCHR,
} from '../engine/kernel/linux-constants.ts';
import type { FileTime, Syscalls } from '../engine/kernel/syscall-types.ts';
import type { EntryTarget } from './entry-name.ts';
import { FolderCache } from './folder-cache.ts';

const OPAQUE_XATTR = 'trusted.overlay.opaque';
const YES = Buffer.from('y');
const ID_MAX = 0xffff_fffe;
const SYMLINK_BYTES_MAX = 4095;
const FOLDERS_A_TURN = 500;

/** Attributes that an entry gives to what it makes. */
type Attributes = Pick<TarHeader, 'mode' | 'uid' | 'gid' | 'mtimeMs' | 'xattrs'>;

/**
 * The tree that one layer becomes, as a lower layer of overlayfs. Every operation names one
 * component below the descriptor of a folder that the kernel opened without following a link.
 */
export class LayerTree {
  readonly #sys: Syscalls;
  readonly #folders: FolderCache;
  /** Times of folders, set at the end: what is made in a folder changes its time. */
  readonly #folderTimes = new Map<string, number>();
  readonly #whiteouts = new Set<string>();

  constructor(sys: Syscalls, rootFd: number) {
    this.#sys = sys;
    this.#folders = new FolderCache(sys, rootFd);
  }

  directory(target: EntryTarget, attributes: Attributes): void {
    requireIds(attributes);
    const path = pathOf(target);
    if (path !== '') this.#makeFolder(this.#ensureFolder(target.parent), target);
    const fd = this.#folders.open(path);
    this.#sys.fchownat(fd, '', attributes.uid, attributes.gid, AT_EMPTY_PATH);
    this.#sys.fchmod(fd, attributes.mode);
    this.#setXattrs(fd, attributes.xattrs);
    this.#folderTimes.set(path, attributes.mtimeMs);
  }

  async file(
    target: EntryTarget,
    attributes: Attributes,
    body: AsyncIterable<Buffer>,
  ): Promise<void> {
    requireIds(attributes);
    const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    const fd = this.#make(target, (folder, base) => this.#sys.openat(folder, base, flags, 0o600));
    try {
      for await (const chunk of body) writeAll(fd, chunk);
      // The owner first: changing it clears setuid and setgid (chown(2)).
      this.#sys.fchownat(fd, '', attributes.uid, attributes.gid, AT_EMPTY_PATH);
      this.#sys.fchmod(fd, attributes.mode);
      this.#setXattrs(fd, attributes.xattrs);
      this.#setTime(fd, '', attributes.mtimeMs);
    } finally {
      this.#sys.close(fd);
    }
  }

  symlink(target: EntryTarget, attributes: Attributes, linkname: string): void {
    requireIds(attributes);
    const bytes = Buffer.byteLength(linkname);
    if (bytes === 0 || bytes > SYMLINK_BYTES_MAX || linkname.includes('\0')) {
      throw new EntryRefused(`a symbolic link needs a target of 1 to ${SYMLINK_BYTES_MAX} bytes`);
    }
    this.#make(target, (folder, base) => {
      this.#sys.symlinkat(linkname, folder, base);
      this.#sys.fchownat(folder, base, attributes.uid, attributes.gid, AT_SYMLINK_NOFOLLOW);
      this.#setTime(folder, base, attributes.mtimeMs);
    });
  }

  /** A hard link to a regular file of this layer; its attributes are the file's. */
  link(target: EntryTarget, linkname: string): void {
    const parts = splitName(linkname);
    const from = parts.at(-1);
    if (from === undefined) throw new EntryRefused('a hard link to the root');
    if (parts.join('/') === pathOf(target)) return;
    const fromPath = parts.slice(0, -1).join('/');
    this.#requireFile(fromPath, from, linkname);
    // Twice, as making the target may replace what the source is in.
    this.#make(target, (folder, base) => {
      const fromFd = this.#requireFile(fromPath, from, linkname);
      this.#sys.linkat(fromFd, from, folder, base, 0);
    });
  }

  /** Hides a name of the layers below: a character device 0:0 (overlayfs, "whiteouts"). */
  whiteout(target: EntryTarget): void {
    const folder = this.#ensureFolder(target.parent);
    try {
      this.#sys.mknodat(folder, target.base, S_IFCHR, 0);
    } catch (error) {
      if (errnoCode(error) !== 'EEXIST') throw error;
      // This layer's own entry stays and hides the name; a folder must also hide what was in it.
      this.#hideBelow(target);
      return;
    }
    this.#whiteouts.add(pathOf(target));
  }

  /** Hides all that the layers below have in a folder. */
  opaque(parent: readonly string[]): void {
    this.#sys.fsetxattr(this.#ensureFolder(parent), OPAQUE_XATTR, YES);
  }

  /** Sets the times of folders, in turns with the other work of the process. */
  async finish(): Promise<void> {
    let count = 0;
    for (const [path, mtimeMs] of this.#folderTimes) {
      if (++count % FOLDERS_A_TURN === 0) await setImmediate();
      try {
        this.#setTime(this.#folders.open(path), '', mtimeMs);
      } catch (error) {
        // A later entry removed or replaced it.
        if (!['ENOENT', 'ENOTDIR', 'ELOOP'].includes(errnoCode(error) ?? '')) throw error;
      }
    }
  }

  close(): void {
    this.#folders.close();
  }

  /** Makes something new under a name; what an earlier entry made there goes. */
  #make<T>(target: EntryTarget, make: (folder: number, base: string) => T): T {
    if (target.base === '') throw new EntryRefused('the root is a folder');
    const folder = this.#ensureFolder(target.parent);
    const path = pathOf(target);
    let made: T;
    try {
      made = make(folder, target.base);
    } catch (error) {
      if (errnoCode(error) !== 'EEXIST') throw error;
      this.#remove(target);
      made = make(this.#folders.open(target.parent.join('/')), target.base);
    }
    this.#folderTimes.delete(path);
    this.#whiteouts.delete(path);
    return made;
  }

  #makeFolder(parentFd: number, target: EntryTarget): void {
    const path = pathOf(target);
    try {
      this.#sys.mkdirat(parentFd, target.base, 0o755);
    } catch (error) {
      if (errnoCode(error) !== 'EEXIST') throw error;
      if (this.#isFolder(parentFd, target.base)) return;
      this.#sys.unlinkat(parentFd, target.base, 0);
      this.#sys.mkdirat(parentFd, target.base, 0o755);
      // What took the place of a whiteout must go on hiding what was there below.
      if (this.#whiteouts.delete(path)) this.#hideBelow(target);
    }
  }

  /** Descriptor of a folder; missing ones are made, 0755 and root's. */
  #ensureFolder(parts: readonly string[]): number {
    const path = parts.join('/');
    try {
      return this.#folders.open(path);
    } catch (error) {
      const code = errnoCode(error);
      if (code === 'ELOOP') throw new EntryRefused('a parent is a symbolic link');
      if (code === 'ENOTDIR' && !this.#whiteoutAbove(parts)) {
        throw new EntryRefused('a parent is not a folder');
      }
      if (code !== 'ENOENT' && code !== 'ENOTDIR') throw error;
    }
    const target = { kind: 'entry', parent: parts.slice(0, -1), base: parts.at(-1) ?? '' } as const;
    this.#makeFolder(this.#ensureFolder(target.parent), target);
    const fd = this.#folders.open(path);
    // Whatever the umask is.
    this.#sys.fchmod(fd, 0o755);
    this.#folderTimes.set(path, 0);
    return fd;
  }

  #whiteoutAbove(parts: readonly string[]): boolean {
    return parts.some((_, n) => this.#whiteouts.has(parts.slice(0, n + 1).join('/')));
  }

  #hideBelow(target: EntryTarget): void {
    const parentFd = this.#folders.open(target.parent.join('/'));
    if (!this.#isFolder(parentFd, target.base)) return;
    this.#sys.fsetxattr(this.#folders.open(pathOf(target)), OPAQUE_XATTR, YES);
  }

  #remove(target: EntryTarget): void {
    const parentFd = this.#folders.open(target.parent.join('/'));
    if (!this.#isFolder(parentFd, target.base)) {
      this.#sys.unlinkat(parentFd, target.base, 0);
      return;
    }
    this.#folders.forget(pathOf(target));
    this.#removeFolder(pathOf(target));
    this.#folders.forget(pathOf(target));
    this.#sys.unlinkat(this.#folders.open(target.parent.join('/')), target.base, AT_REMOVEDIR);
  }

  /** Empties a folder; its depth is bounded by that of names. */
  #removeFolder(path: string): void {
    const entries = readdirSync(`/proc/self/fd/${this.#folders.open(path)}`, {
      withFileTypes: true,
    });
    for (const entry of entries) {
      if (entry.isDirectory()) this.#removeFolder(`${path}/${entry.name}`);
      this.#sys.unlinkat(
        this.#folders.open(path),
        entry.name,
        entry.isDirectory() ? AT_REMOVEDIR : 0,
      );
    }
  }

  #requireFile(folder: string, base: string, linkname: string): number {
    let fd: number;
    let folderFd: number;
    try {
      folderFd = this.#folders.open(folder);
      fd = this.#sys.openat(folderFd, base, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    } catch (error) {
      if (!['ENOENT', 'ENOTDIR', 'ELOOP'].includes(errnoCode(error) ?? '')) throw error;
      throw new EntryRefused(
        `a hard link to "${linkname.slice(0, 200)}", which is not a file here`,
      );
    }
    try {
      if (fstatSync(fd).isFile()) return folderFd;
    } finally {
      this.#sys.close(fd);
    }
    throw new EntryRefused(`a hard link to "${linkname.slice(0, 200)}", which is not a file`);
  }

  #isFolder(parentFd: number, base: string): boolean {
    const fd = this.#sys.openat(parentFd, base, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    try {
      return fstatSync(fd).isDirectory();
    } finally {
      this.#sys.close(fd);
    }
  }

  #setTime(dirfd: number, base: string, mtimeMs: number): void {
    const time = fileTime(mtimeMs);
    this.#sys.utimensat(
      dirfd,
      base,
      [time, time],
      base === '' ? AT_EMPTY_PATH : AT_SYMLINK_NOFOLLOW,
    );
  }

  /** Only `user.*` is the image's to set; overlayfs reads `user.overlay.*` and `trusted.*` itself. */
  #setXattrs(fd: number, xattrs: TarHeader['xattrs']): void {
    if (xattrs === undefined) return;
    let bytes = 0;
    for (const [name, value] of Object.entries(xattrs)) {
      bytes += Buffer.byteLength(name) + Buffer.byteLength(value);
      if (bytes > LIMITS.xattrBytesMax) {
        throw new EntryRefused(`extended attributes above ${LIMITS.xattrBytesMax} bytes`);
      }
      if (!name.startsWith('user.') || name.startsWith('user.overlay.')) continue;
      try {
        this.#sys.fsetxattr(fd, name, Buffer.from(value));
      } catch (error) {
        if (errnoCode(error) !== 'EOPNOTSUPP' && errnoCode(error) !== 'ENOTSUP') throw error;
      }
    }
  }
}

function pathOf(target: EntryTarget): string {
  const parent = target.parent.join('/');
  return parent === '' || target.base === '' ? parent + target.base : `${parent}/${target.base}`;
}

/** -1 would mean "leave as it is" to the kernel. */
function requireIds(attributes: Attributes): void {
  for (const id of [attributes.uid, attributes.gid]) {
    if (Number.isInteger(id) && id >= 0 && id <= ID_MAX) continue;
    throw new EntryRefused(`an owner must be from 0 to ${ID_MAX}: current value is ${id}`);
  }
}

function fileTime(mtimeMs: number): FileTime {
  if (!Number.isFinite(mtimeMs)) return { seconds: 0, nanoseconds: 0 };
  const seconds = Math.floor(mtimeMs / 1000);
  return { seconds, nanoseconds: Math.floor((mtimeMs - seconds * 1000) * 1e6) };
}

function writeAll(fd: number, bytes: Buffer): void {
  let offset = 0;
  while (offset < bytes.length) offset += writeSync(fd, bytes, offset, bytes.length - offset);
}
