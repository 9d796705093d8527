import { readdirSync } from 'node:fs';
import { LIMITS } from '../../../../lib/limits.ts';
import {
  AT_EMPTY_PATH,
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  O_WRONLY,
  RESOLVE_BENEATH,
  RESOLVE_NO_SYMLINKS,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
} from '../../kernel/linux-constants.ts';
import type { FileFacts, FileTime, Syscalls } from '../../kernel/syscall-types.ts';
import { asRangeOwner } from './range-owner.ts';

const BENEATH = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
const CHUNK_BYTES = 256 * 1024;
const FOLDER_MODE = 0o3777;
/** No setuid bits: nothing in a volume may have them, inside or on the host's disk. */
const FILE_MODE = 0o777;

/**
 * Gives an empty volume the files that the image has at its place, as Docker does on first use, and
 * that folder's owner and mode. Every name is opened beneath its folder's descriptor, none by a
 * link; devices, FIFOs and sockets are left out.
 * @throws Error when there are more than LIMITS.volumeFill… of them
 */
export function fillVolume(
  sys: Syscalls,
  inputs: { image: number; volume: number; uidBase: number },
): void {
  const { image, volume, uidBase } = inputs;
  if (namesIn(volume).length > 0) return;
  const room = { entries: LIMITS.volumeFillEntriesMax, bytes: LIMITS.volumeFillBytesMax };
  asRangeOwner(sys, uidBase, () => {
    const from = sys.openat2(image, '.', {
      flags: O_RDONLY | O_DIRECTORY | O_CLOEXEC,
      resolve: BENEATH,
    });
    const to = sys.openat2(volume, '.', {
      flags: O_RDONLY | O_DIRECTORY | O_CLOEXEC,
      resolve: BENEATH,
    });
    copyFolder(sys, { from, to, depth: 0 }, room);
    finish(sys, to, sys.fstat(from), FOLDER_MODE);
    sys.close(from);
    sys.close(to);
  });
}

interface Room {
  entries: number;
  bytes: number;
}

/** By the descriptor's link in /proc, which leads to the very folder. */
function namesIn(fd: number): Buffer[] {
  return readdirSync(`/proc/self/fd/${fd}`, { encoding: 'buffer' });
}

function copyFolder(
  sys: Syscalls,
  folders: { from: number; to: number; depth: number },
  room: Room,
): void {
  const { from, to, depth } = folders;
  if (depth > LIMITS.pathDepthMax) throw new Error('the image’s folder is too deep for a volume');
  for (const name of namesIn(from)) {
    take(room, 'entries', 1);
    const at = sys.openat2(from, name, {
      flags: O_PATH | O_NOFOLLOW | O_CLOEXEC,
      resolve: BENEATH,
    });
    const facts = sys.fstat(at);
    sys.close(at);
    const type = facts.mode & S_IFMT;
    if (type === S_IFLNK) copyLink(sys, { from, to, name }, facts);
    else if (type === S_IFREG) copyFile(sys, { from, to, name }, room);
    else if (type === S_IFDIR) {
      sys.mkdirat(to, name, 0o700);
      const how = { flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, resolve: BENEATH };
      const inner = { from: sys.openat2(from, name, how), to: sys.openat2(to, name, how) };
      copyFolder(sys, { ...inner, depth: depth + 1 }, room);
      finish(sys, inner.to, facts, FOLDER_MODE);
      sys.close(inner.from);
      sys.close(inner.to);
    }
  }
}

interface Entry {
  from: number;
  to: number;
  name: Buffer;
}

function copyFile(sys: Syscalls, { from, to, name }: Entry, room: Room): void {
  const read = { flags: O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, resolve: BENEATH };
  const source = sys.openat2(from, name, read);
  const copy = sys.openat(to, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0o600);
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  for (let length = sys.read(source, chunk); length > 0; length = sys.read(source, chunk)) {
    take(room, 'bytes', length);
    let rest = chunk.subarray(0, length);
    while (rest.length > 0) rest = rest.subarray(sys.write(copy, rest));
  }
  finish(sys, copy, sys.fstat(source), FILE_MODE);
  sys.close(source);
  sys.close(copy);
}

function copyLink(sys: Syscalls, { from, to, name }: Entry, facts: FileFacts): void {
  sys.symlinkat(sys.readlinkat(from, name), to, name);
  sys.fchownat(to, name, facts.uid, facts.gid, AT_SYMLINK_NOFOLLOW);
}

/** Owner before mode: a change of owner takes bits of the mode away. */
function finish(sys: Syscalls, fd: number, facts: FileFacts, modeBits: number): void {
  sys.fchownat(fd, '', facts.uid, facts.gid, AT_EMPTY_PATH);
  sys.fchmod(fd, facts.mode & modeBits);
  sys.utimensat(fd, '', ['omit', fileTime(facts.mtimeMs)], AT_EMPTY_PATH);
}

function fileTime(ms: number): FileTime {
  const seconds = Math.floor(ms / 1000);
  return { seconds, nanoseconds: Math.floor((ms - seconds * 1000) * 1e6) };
}

function take(room: Room, kind: keyof Room, amount: number): void {
  room[kind] -= amount;
  if (room[kind] >= 0) return;
  const { volumeFillEntriesMax: entries, volumeFillBytesMax: bytes } = LIMITS;
  const most = `${entries} files and ${bytes} bytes`;
  throw new Error(`the image has more at this place than a new volume takes: limit ${most}`);
}
