import { fstatSync, type Stats } from 'node:fs';
import {
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOCTTY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
} from '../../kernel/linux-constants.ts';
import { SyscallError, type Syscalls } from '../../kernel/syscall-types.ts';
import { direntNames } from './dirents.ts';
import { FILE_DATA_BYTES_MAX, type FileEntry, type FileFrame } from './file-frames.ts';
import { atPath, openEntry, openFolder, openRoot, splitPath } from './file-path.ts';

const READ_FLAGS = O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC;
const DEPTH_MAX = 256;
const LISTING_BYTES = 32_768;
/** Names of files with several; those beyond are sent as files of their own. */
const LINKS_MAX = 100_000;

/** linux/magic.h: file systems that hold no files: proc, sysfs, devpts, cgroup, cgroup2. */
const KERNEL_FILE_SYSTEMS = [0x9fa0, 0x62656572, 0x1cd1, 0x27e0eb, 0x63677270];

/** What is asked for. */
interface Target {
  /** Absolute and normal. */
  path: string;
  /** Whether a link at the end is followed, to a folder. */
  follow: boolean;
}

/** An entry that is being visited: the folder it is in, and how it was come by. */
interface Place {
  folder: number;
  name: Buffer;
  path: string;
  depth: number;
}

/**
 * Reads what programs may change meanwhile: every step goes from an open folder to a name in it, so
 * a folder that becomes a link leads nowhere. Nothing but regular files and folders is opened for
 * reading: a FIFO would wait for a writer, a device may act.
 */
export class FileTree {
  readonly #sys: Syscalls;
  readonly #send: (frame: FileFrame) => void;
  readonly #chunk = Buffer.alloc(FILE_DATA_BYTES_MAX);
  readonly #links = new Map<string, string>();
  #base = '';

  constructor(sys: Syscalls, send: (frame: FileFrame) => void) {
    this.#sys = sys;
    this.#send = send;
  }

  /** Sends the entry at a path. @throws PathError */
  sendOne(target: Target): void {
    this.#at(target, (fd) => this.#sendEntry('', fd, fstatSync(fd)));
  }

  /** Sends a path with all below it. @throws PathError */
  sendAll(target: Target): void {
    this.#at(target, (fd, folder, name) => {
      this.#visit({ folder, name, path: '', depth: 0 }, fd);
    });
  }

  #at(target: Target, act: (fd: number, folder: number, name: Buffer) => void): void {
    const path = Buffer.from(target.path);
    this.#base = path.toString('latin1');
    atPath(this.#base, () => {
      const root = openRoot(this.#sys);
      if (target.follow) {
        const folder = openFolder(this.#sys, root, path);
        act(folder, folder, Buffer.from('.'));
        return;
      }
      const { parent, name } = splitPath(path);
      const folder = openFolder(this.#sys, root, parent);
      act(openEntry(this.#sys, folder, name), folder, name);
    });
  }

  #visit(place: Place, fd: number): void {
    const stat = fstatSync(fd);
    if (stat.isDirectory()) this.#sendFolder(place, fd, stat);
    else if (stat.isSymbolicLink()) this.#sendEntry(place.path, fd, stat);
    else if (stat.isFile()) this.#sendFile(place);
    else if (place.depth === 0) this.#sendEntry('', fd, stat);
  }

  #sendFolder(place: Place, fd: number, stat: Stats): void {
    const { depth, path } = place;
    this.#sendEntry(path, fd, stat);
    if (depth > 0 && KERNEL_FILE_SYSTEMS.includes(this.#sys.fstatfsType(fd))) return;
    if (depth >= DEPTH_MAX) throw new Error(`deeper than ${DEPTH_MAX} folders`);
    const folder = this.#sys.openat(fd, '.', READ_FLAGS | O_DIRECTORY);
    const listing = Buffer.alloc(LISTING_BYTES);
    for (
      let length = this.#list(folder, listing);
      length > 0;
      length = this.#list(folder, listing)
    ) {
      for (const name of direntNames(listing.subarray(0, length))) {
        const below = name.toString('latin1');
        const inside = path === '' ? below : `${path}/${below}`;
        this.#visitName({ folder, name, path: inside, depth: depth + 1 });
      }
    }
    this.#sys.close(folder);
  }

  #list(folder: number, listing: Buffer): number {
    return this.#sys.getdents64(folder, listing);
  }

  #visitName(place: Place): void {
    atPath(`${this.#base === '/' ? '' : this.#base}/${place.path}`, () => {
      const fd = unlessGone(() => openEntry(this.#sys, place.folder, place.name));
      if (fd === undefined) return;
      try {
        this.#visit(place, fd);
      } finally {
        this.#sys.close(fd);
      }
    });
  }

  #sendFile(place: Place): void {
    const fd = unlessGone(() => this.#sys.openat(place.folder, place.name, READ_FLAGS));
    if (fd === undefined) return;
    try {
      const stat = fstatSync(fd);
      // Another took its name meanwhile
      if (!stat.isFile()) return;
      const first = this.#firstName(stat, place.path);
      if (first !== undefined) {
        this.#sendEntry(place.path, fd, stat, { type: 'link', target: first });
        return;
      }
      this.#sendEntry(place.path, fd, stat, { sizeBytes: stat.size });
      this.#sendBytes(fd, stat.size);
    } finally {
      this.#sys.close(fd);
    }
  }

  /** Path under which the same file was sent already. */
  #firstName(stat: Stats, path: string): string | undefined {
    if (stat.nlink < 2) return undefined;
    const key = `${stat.dev}:${stat.ino}`;
    const known = this.#links.get(key);
    if (known === undefined && this.#links.size < LINKS_MAX) this.#links.set(key, path);
    return known;
  }

  /** Exactly as many as were announced: one that shrinks ends with zeros, as tar(1) has it. */
  #sendBytes(fd: number, sizeBytes: number): void {
    let left = sizeBytes;
    while (left > 0) {
      const room = this.#chunk.subarray(0, Math.min(left, this.#chunk.length));
      const length = this.#sys.read(fd, room);
      if (length === 0) room.fill(0);
      const data = length === 0 ? room : room.subarray(0, length);
      this.#send({ kind: 'data', data });
      left -= data.length;
    }
  }

  #sendEntry(path: string, fd: number, stat: Stats, more: Partial<FileEntry> = {}): void {
    const entry: FileEntry = {
      path,
      type: typeOf(stat),
      mode: stat.mode,
      uid: stat.uid,
      gid: stat.gid,
      mtimeMs: stat.mtimeMs,
      sizeBytes: stat.isSymbolicLink() ? 0 : stat.size,
      ...more,
    };
    if (stat.isSymbolicLink()) entry.target = this.#sys.readlinkat(fd, '').toString('latin1');
    this.#send({ kind: 'entry', entry });
  }
}

function typeOf(stat: Stats): FileEntry['type'] {
  if (stat.isFile()) return 'file';
  if (stat.isDirectory()) return 'directory';
  return stat.isSymbolicLink() ? 'symlink' : 'other';
}

/** Undefined for what was removed, or made a link, after its folder was listed. */
function unlessGone<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch (error) {
    const gone = error instanceof SyscallError && ['ENOENT', 'ELOOP', 'ENXIO'].includes(error.code);
    if (gone) return undefined;
    throw error;
  }
}
