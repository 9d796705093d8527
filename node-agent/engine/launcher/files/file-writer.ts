import { fstatSync } from 'node:fs';
import {
  AT_EMPTY_PATH,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_RDONLY,
  O_WRONLY,
} from '../../kernel/linux-constants.ts';
import { type FileTime, SyscallError, type Syscalls } from '../../kernel/syscall-types.ts';
import { type FileEntry, type FileFrame, FileFrameReader } from './file-frames.ts';
import { atPath, openEntry, openFolder, openRoot, pathBytes, splitPath } from './file-path.ts';

const READ_BYTES = 128 * 1024;
const ID_MAX = 65_535;
/** Others may make what was just removed. */
const MAKE_TRIES = 16;
const FOLDER_FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

/** A file whose bytes are coming in. */
interface OpenFile {
  fd: number;
  folder: number;
  name: Buffer;
  entry: FileEntry;
  leftBytes: number;
}

/**
 * Makes entries below a folder of a container that runs. Attributes are set on descriptors of what
 * was made, never by a name that may mean something else by then.
 */
export class FileWriter {
  readonly #sys: Syscalls;
  readonly #root: number;
  readonly #base: string;
  readonly #keepIds: boolean;
  /** The folder of the last entry. */
  #folder: { path: string; fd: number } | undefined;
  #file: OpenFile | undefined;
  /** Folders' times, set at the end: what is made in a folder changes its time. */
  readonly #folderTimes = new Map<string, number>();

  constructor(sys: Syscalls, target: { path: string; keepIds: boolean }) {
    this.#sys = sys;
    this.#root = openRoot(sys);
    this.#base = Buffer.from(target.path).toString('latin1');
    this.#keepIds = target.keepIds;
    atPath(this.#base, () => sys.close(openFolder(sys, this.#root, pathBytes(this.#base))));
  }

  /** Makes what comes in until `end`. @throws PathError; Error when the input ends before */
  readAll(input: number): void {
    const frames = new FileFrameReader();
    const chunk = Buffer.alloc(READ_BYTES);
    try {
      let ended = false;
      while (!ended) {
        const length = this.#sys.read(input, chunk);
        if (length === 0) throw new Error('the archive ended early');
        for (const frame of frames.push(chunk.subarray(0, length))) {
          ended = frame.kind === 'end';
          this.#take(frame);
        }
      }
      this.#setFolderTimes();
    } finally {
      this.#dropFile();
    }
  }

  #take(frame: FileFrame): void {
    if (frame.kind === 'entry') {
      const { entry } = frame;
      this.#dropFile();
      atPath(this.#full(entry.path), () => this.#make(entry));
    } else if (frame.kind === 'data' && this.#file !== undefined) {
      const file = this.#file;
      atPath(this.#full(file.entry.path), () => this.#write(file, frame.data));
    }
  }

  #make(entry: FileEntry): void {
    const { parent, name } = splitPath(pathBytes(this.#full(entry.path)));
    // The folder itself stays as it is
    if (entry.path === '') return;
    const folder = this.#openParent(parent.toString('latin1'));
    if (entry.type === 'directory') this.#makeFolder(folder, name, entry);
    else if (entry.type === 'symlink') this.#makeLink(folder, name, entry);
    else if (entry.type === 'link') this.#linkTo(folder, name, entry);
    else if (entry.type === 'file') this.#makeFile(folder, name, entry);
  }

  #makeFolder(folder: number, name: Buffer, entry: FileEntry): void {
    const type = this.#typeAt(folder, name);
    if (type === 'other') throw new Error('a folder cannot take the place of something else');
    if (type === undefined) this.#sys.mkdirat(folder, name, 0o700);
    const fd = this.#sys.openat(folder, name, FOLDER_FLAGS);
    try {
      this.#own(fd, entry);
      this.#sys.fchmod(fd, entry.mode & 0o7777);
    } finally {
      this.#sys.close(fd);
    }
    this.#folderTimes.set(entry.path, entry.mtimeMs);
  }

  #makeLink(folder: number, name: Buffer, entry: FileEntry): void {
    this.#replace(folder, name, () => {
      this.#sys.symlinkat(pathBytes(entry.target ?? ''), folder, name);
    });
    const fd = openEntry(this.#sys, folder, name);
    try {
      if (!fstatSync(fd).isSymbolicLink()) throw new Error('it was replaced while it was made');
      this.#own(fd, entry);
      this.#setTime(fd, entry.mtimeMs);
    } finally {
      this.#sys.close(fd);
    }
  }

  #linkTo(folder: number, name: Buffer, entry: FileEntry): void {
    const target = splitPath(pathBytes(this.#full(entry.target ?? '')));
    const from = openFolder(this.#sys, this.#root, target.parent);
    try {
      this.#replace(folder, name, () => this.#sys.linkat(from, target.name, folder, name, 0));
    } finally {
      this.#sys.close(from);
    }
  }

  #makeFile(folder: number, name: Buffer, entry: FileEntry): void {
    const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    const fd = this.#replace(folder, name, () => this.#sys.openat(folder, name, flags, 0o600));
    this.#file = { fd, folder, name, entry, leftBytes: entry.sizeBytes };
    if (entry.sizeBytes === 0) this.#finishFile(this.#file);
  }

  #write(file: OpenFile, data: Buffer): void {
    let rest = data.subarray(0, file.leftBytes);
    file.leftBytes -= rest.length;
    while (rest.length > 0) rest = rest.subarray(this.#sys.write(file.fd, rest));
    if (file.leftBytes === 0) this.#finishFile(file);
  }

  /** The owner first: changing it clears setuid and setgid (chown(2)). */
  #finishFile(file: OpenFile): void {
    const { entry, fd } = file;
    this.#own(fd, entry);
    this.#sys.fchmod(fd, entry.mode & 0o7777);
    this.#setTime(fd, entry.mtimeMs);
    this.#sys.close(fd);
    this.#file = undefined;
  }

  /** Half a file is none. */
  #dropFile(): void {
    if (this.#file === undefined) return;
    const { fd, folder, name } = this.#file;
    this.#file = undefined;
    this.#sys.close(fd);
    try {
      this.#sys.unlinkat(folder, name, 0);
    } catch {
      // Somebody else removed it
    }
  }

  #setFolderTimes(): void {
    for (const [path, mtimeMs] of this.#folderTimes) {
      try {
        const { parent, name } = splitPath(pathBytes(this.#full(path)));
        const fd = this.#sys.openat(
          this.#openParent(parent.toString('latin1')),
          name,
          FOLDER_FLAGS,
        );
        this.#setTime(fd, mtimeMs);
        this.#sys.close(fd);
      } catch (error) {
        // Somebody removed or replaced it
        if (!(error instanceof SyscallError)) throw error;
      }
    }
  }

  /** Makes something new under a name; a file or link that was there goes, a folder never does. */
  #replace<T>(folder: number, name: Buffer, make: () => T): T {
    for (let tries = 1; ; tries++) {
      try {
        return make();
      } catch (error) {
        const exists = error instanceof SyscallError && error.code === 'EEXIST';
        if (!exists || tries >= MAKE_TRIES) throw error;
      }
      if (this.#typeAt(folder, name) === 'folder') {
        throw new Error('it cannot take the place of a folder');
      }
      this.#sys.unlinkat(folder, name, 0);
    }
  }

  #typeAt(folder: number, name: Buffer): 'folder' | 'other' | undefined {
    let fd: number;
    try {
      fd = openEntry(this.#sys, folder, name);
    } catch (error) {
      if (error instanceof SyscallError && error.code === 'ENOENT') return undefined;
      throw error;
    }
    const isFolder = fstatSync(fd).isDirectory();
    this.#sys.close(fd);
    return isFolder ? 'folder' : 'other';
  }

  /** Descriptor of the folder of an entry, valid until the next call; missing ones are made. */
  #openParent(path: string): number {
    if (this.#folder?.path === path) return this.#folder.fd;
    if (this.#folder !== undefined) this.#sys.close(this.#folder.fd);
    this.#folder = undefined;
    const fd = this.#ensureFolder(path);
    this.#folder = { path, fd };
    return fd;
  }

  #ensureFolder(path: string): number {
    try {
      return openFolder(this.#sys, this.#root, pathBytes(path));
    } catch (error) {
      const missing = error instanceof SyscallError && error.code === 'ENOENT';
      if (!missing || path.length <= this.#base.length) throw error;
    }
    const { parent, name } = splitPath(pathBytes(path));
    const folder = this.#ensureFolder(parent.toString('latin1'));
    try {
      this.#sys.mkdirat(folder, name, 0o755);
    } catch (error) {
      // Somebody inside was first
      if (!(error instanceof SyscallError) || error.code !== 'EEXIST') throw error;
    } finally {
      this.#sys.close(folder);
    }
    return openFolder(this.#sys, this.#root, pathBytes(path));
  }

  #own(fd: number, entry: FileEntry): void {
    const [uid, gid] = this.#keepIds ? [entry.uid, entry.gid] : [0, 0];
    if (![uid, gid].every((id) => Number.isInteger(id) && id >= 0 && id <= ID_MAX)) {
      throw new Error(`its owner must be 0–${ID_MAX}: found ${uid}:${gid}`);
    }
    this.#sys.fchownat(fd, '', uid, gid, AT_EMPTY_PATH);
  }

  #setTime(fd: number, mtimeMs: number): void {
    const time = fileTime(mtimeMs);
    this.#sys.utimensat(fd, '', [time, time], AT_EMPTY_PATH);
  }

  #full(path: string): string {
    const base = this.#base === '/' ? '' : this.#base;
    return path === '' ? this.#base : `${base}/${path}`;
  }
}

function fileTime(mtimeMs: number): FileTime {
  if (!Number.isFinite(mtimeMs)) return { seconds: 0, nanoseconds: 0 };
  const seconds = Math.floor(mtimeMs / 1000);
  return { seconds, nanoseconds: Math.floor((mtimeMs - seconds * 1000) * 1e6) };
}
