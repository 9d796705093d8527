import { isUtf8 } from 'node:buffer';
import type { TarSource } from '../../../lib/archive/tar.ts';
import { HearthError } from '../../../lib/errors.ts';
import type { PathStat } from '../exec/exec-types.ts';
import type { FileEntry, FileFrame } from '../launcher/files/file-frames.ts';
import { copyError, cutOff } from './copy-error.ts';

const PERMISSION_BITS = 0o7777;

/** Frames of one answer, in a container's name; each `next` fails as the service does. */
export class FrameSource {
  readonly #id: string;
  readonly #frames: AsyncGenerator<FileFrame>;

  constructor(id: string, frames: AsyncGenerator<FileFrame>) {
    this.#id = id;
    this.#frames = frames;
  }

  /** The next entry; undefined at the end. @throws HearthError */
  async entry(): Promise<FileEntry | undefined> {
    const frame = await this.#next();
    if (frame.kind === 'end') return undefined;
    if (frame.kind === 'entry') return frame.entry;
    throw cutOff(this.#id);
  }

  /** The bytes that follow an entry. @throws HearthError */
  async *bytes(sizeBytes: number): AsyncGenerator<Buffer> {
    for (let left = sizeBytes; left > 0; ) {
      const frame = await this.#next();
      if (frame.kind !== 'data') throw cutOff(this.#id);
      left -= frame.data.length;
      yield frame.data;
    }
  }

  async #next(): Promise<FileFrame> {
    const { done, value } = await this.#frames.next();
    if (done === true) throw cutOff(this.#id);
    if (value.kind === 'failure') throw copyError(this.#id, value.failure);
    return value;
  }
}

/** An entry as the API tells it; `name` is that of the path asked for. */
export function pathStat(name: string, entry: FileEntry): PathStat {
  const { mode, mtimeMs, sizeBytes, target = '', type } = entry;
  const linkTarget = type === 'symlink' ? Buffer.from(target, 'latin1').toString() : '';
  return { name: name === '' ? '/' : name, sizeBytes, mode, mtimeMs, linkTarget };
}

/** Entries of an archive rooted at `name`; an empty name makes it `.`. */
export async function* tarEntries(
  name: string,
  first: FileEntry,
  source: FrameSource,
): AsyncGenerator<TarSource> {
  let entry: FileEntry | undefined = first;
  while (entry !== undefined) {
    const { type } = entry;
    if (type !== 'other') yield tarSource(name === '' ? '.' : name, { ...entry, type }, source);
    entry = await source.entry();
  }
}

function tarSource(
  root: string,
  entry: FileEntry & { type: TarSource['type'] },
  source: FrameSource,
): TarSource {
  const { sizeBytes, target, type } = entry;
  const at = (path: string): string => (path === '' ? root : `${root}/${utf8(path)}`);
  const isFile = type === 'file' && sizeBytes > 0;
  return {
    name: at(entry.path),
    type,
    mode: entry.mode & PERMISSION_BITS,
    uid: entry.uid,
    gid: entry.gid,
    mtimeMs: entry.mtimeMs,
    sizeBytes: isFile ? sizeBytes : 0,
    ...(target === undefined ? {} : { linkname: type === 'link' ? at(target) : utf8(target) }),
    ...(isFile ? { body: () => source.bytes(sizeBytes) } : {}),
  };
}

/** Archives hold names as UTF-8 (POSIX.1-2017, pax). */
function utf8(bytes: string): string {
  const name = Buffer.from(bytes, 'latin1');
  if (isUtf8(name)) return name.toString();
  const shown = JSON.stringify(bytes.slice(0, 200));
  const hint = 'rename it, or copy what is beside it';
  throw new HearthError('BadRequest', `cannot copy ${shown}: its name is not UTF-8`, { hint });
}
