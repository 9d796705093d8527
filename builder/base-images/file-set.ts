import {
  createReadStream,
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import type { TarSource } from '../../lib/archive/tar.ts';
import { sha256 } from '../../lib/digest.ts';
import { FIXED_TIME_MS } from '../layers/fixed-time.ts';
import { byBytes } from '../layers/layered-tree.ts';

const SMALL_BYTES_MAX = 64 * 1024;
const READ_CHUNK_BYTES = 256 * 1024;

interface SetEntry {
  type: 'file' | 'directory' | 'symlink';
  mode: number;
  mtimeMs: number;
  sizeBytes: number;
  content?: Buffer;
  hostPath?: string;
  /** For a file of the host: changes when the file does. */
  identity?: string;
  linkname?: string;
}

export interface TreeOptions {
  /** Names, at any depth, that are left out. */
  skip?: (name: string, relative: string) => boolean;
  /** Times of the host's files stay: Python compares them with its compiled files. */
  keepTimes?: boolean;
}

/** The content of one layer made of files of this machine; all owned by root. */
export class FileSet {
  readonly #entries = new Map<string, SetEntry>();

  has(path: string): boolean {
    return this.#entries.has(path);
  }

  /** `path` in the image, without a leading slash; its directories are made. */
  addText(path: string, text: string, mode = 0o644): void {
    const content = Buffer.from(text);
    this.#add(path, {
      type: 'file',
      mode,
      mtimeMs: FIXED_TIME_MS,
      sizeBytes: content.length,
      content,
    });
  }

  addLink(path: string, linkname: string): void {
    this.#add(path, {
      type: 'symlink',
      mode: 0o777,
      mtimeMs: FIXED_TIME_MS,
      sizeBytes: 0,
      linkname,
    });
  }

  addDirectory(path: string, mode = 0o755): void {
    this.#add(path, { type: 'directory', mode, mtimeMs: FIXED_TIME_MS, sizeBytes: 0 });
  }

  /** A file of the host; a link is followed. Setuid does not come along. */
  addFile(path: string, hostPath: string, { keepTimes = false }: TreeOptions = {}): void {
    const stat = statSync(hostPath);
    this.#add(path, {
      type: 'file',
      mode: (stat.mode & 0o111) === 0 ? 0o644 : 0o755,
      mtimeMs: keepTimes ? Math.floor(stat.mtimeMs / 1000) * 1000 : FIXED_TIME_MS,
      sizeBytes: stat.size,
      hostPath,
      identity: `${hostPath} ${stat.size} ${stat.mtimeMs}`,
    });
  }

  /** A folder of the host with all in it; links in it stay links when they are relative. */
  addTree(path: string, hostFolder: string, options: TreeOptions = {}, relative = ''): void {
    this.addDirectory(path);
    for (const name of readdirSync(hostFolder)) {
      const inside = relative === '' ? name : `${relative}/${name}`;
      if (options.skip?.(name, inside) === true) continue;
      const hostPath = join(hostFolder, name);
      const stat = lstatSync(hostPath);
      if (stat.isDirectory()) this.addTree(`${path}/${name}`, hostPath, options, inside);
      else if (stat.isFile()) this.addFile(`${path}/${name}`, hostPath, options);
      else if (stat.isSymbolicLink()) this.#addTreeLink(`${path}/${name}`, hostPath, options);
    }
  }

  #addTreeLink(path: string, hostPath: string, options: TreeOptions): void {
    const target = readlinkSync(hostPath);
    if (!target.startsWith('/')) this.addLink(path, target);
    else if (statSync(hostPath, { throwIfNoEntry: false })?.isFile()) {
      this.addFile(path, hostPath, options);
    }
  }

  /** Changes when anything in the set does. Contents of the host's files are not read. */
  identity(): string {
    const rows = this.#sorted().map(([path, { content, hostPath: _, ...rest }]) => [
      path,
      rest,
      content?.toString('base64'),
    ]);
    return sha256(JSON.stringify(rows));
  }

  /** Entries of the layer's archive, sorted. */
  *entries(): Generator<TarSource> {
    for (const [path, { hostPath, content, identity: _, ...rest }] of this.#sorted()) {
      const body =
        content ?? (hostPath === undefined ? undefined : bodyOf(hostPath, rest.sizeBytes));
      yield { ...rest, name: path, uid: 0, gid: 0, ...(body === undefined ? {} : { body }) };
    }
  }

  #sorted(): [string, SetEntry][] {
    return [...this.#entries].sort(([a], [b]) => byBytes(`${a}/`, `${b}/`));
  }

  #add(path: string, entry: SetEntry): void {
    const parent = dirname(path);
    if (parent !== '.' && !this.#entries.has(parent)) this.addDirectory(parent);
    this.#entries.set(path, entry);
  }
}

/** A stream costs four turns of the thread pool: thousands of small files are read at once instead. */
function bodyOf(hostPath: string, sizeBytes: number): Buffer | (() => Readable) {
  if (sizeBytes <= SMALL_BYTES_MAX) return readFileSync(hostPath);
  return () => createReadStream(hostPath, { highWaterMark: READ_CHUNK_BYTES });
}

/** Where a program or library of the host is found by its name: the first folder that has it. */
export function findOnHost(name: string, folders: readonly string[]): string | undefined {
  return folders
    .map((folder) => join(folder, basename(name)))
    .find((path) => statSync(path, { throwIfNoEntry: false })?.isFile());
}
