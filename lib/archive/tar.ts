import { Readable } from 'node:stream';
import { extract, type Header, type Pack, pack } from 'tar-stream';

/** What an entry is; `device` also a FIFO, `unknown` what cannot be read right, e.g. a sparse file. */
export type TarEntryType = 'file' | 'directory' | 'symlink' | 'link' | 'device' | 'unknown';

/** Header of one entry (POSIX.1-2017 pax, "pax Interchange Format"). */
export interface TarHeader {
  /** As in the archive: neither cleaned nor checked. */
  name: string;
  type: TarEntryType;
  /** Permission bits with setuid, setgid and sticky: `0o7777` at most. */
  mode: number;
  uid: number;
  gid: number;
  /** Milliseconds since 1970; a fraction is kept in pax. */
  mtimeMs: number;
  /** Bytes of the body; 0 for all but files. */
  sizeBytes: number;
  /** Target of a `symlink` or a `link`. */
  linkname?: string;
  /** Extended attributes by name (`SCHILY.xattr.*` in pax). */
  xattrs?: Readonly<Record<string, string>>;
}

/** An entry that is read: its body is there until the next entry is asked for. */
export interface TarEntry extends TarHeader {
  body: AsyncIterable<Buffer>;
}

/** An entry to write. A body has exactly `sizeBytes` bytes. */
export interface TarSource extends TarHeader {
  type: Exclude<TarEntryType, 'device' | 'unknown'>;
  body?: Buffer | (() => AsyncIterable<Buffer>);
}

/** Thrown when bytes are not a tar archive, or end too early. */
export class TarFormatError extends Error {
  override readonly name = 'TarFormatError';
}

const XATTR = 'SCHILY.xattr.';
const EMPTY = Buffer.alloc(0);
const BATCH_BYTES = 64 * 1024;
const QUEUED_BYTES_MAX = 1024 * 1024;

/**
 * Entries of an archive in its order. A body that the caller leaves is skipped; one that it
 * starts must be read to its end.
 * @throws TarFormatError, and what `stream` throws
 */
export async function* readTar(stream: AsyncIterable<Buffer>): AsyncGenerator<TarEntry> {
  const parser = extract();
  const fed = feed(stream, parser);
  try {
    for await (const entry of parser) {
      yield toEntry(entry.header, bodyOf(entry as AsyncIterable<Buffer>, fed));
      entry.resume();
    }
  } catch (error) {
    throw (await fed) ?? formatError(error);
  } finally {
    parser.destroy();
  }
  const failed = await fed;
  if (failed !== undefined) throw failed;
}

/** A body that fails with why the archive ended, not with how the parser noticed. */
async function* bodyOf(
  source: AsyncIterable<Buffer>,
  fed: Promise<unknown>,
): AsyncGenerator<Buffer> {
  try {
    yield* source;
  } catch {
    throw (await fed) ?? new TarFormatError('Unexpected end of data');
  }
}

/** Writes all of `stream` into the parser; gives back what the stream failed with. */
async function feed(
  stream: AsyncIterable<Buffer>,
  parser: ReturnType<typeof extract>,
): Promise<unknown> {
  let closed = false;
  let wake: () => void = () => {};
  parser.on('drain', () => wake());
  parser.on('close', () => {
    closed = true;
    wake();
  });
  try {
    for await (const chunk of stream) {
      if (closed) return undefined;
      const drained = new Promise<void>((resolve) => {
        wake = resolve;
      });
      if (!parser.write(chunk) && !closed) await drained;
    }
    parser.end(undefined);
    return undefined;
  } catch (error) {
    parser.destroy(error as Error);
    return error;
  }
}

function formatError(error: unknown): TarFormatError {
  const message = error instanceof Error ? error.message : String(error);
  return new TarFormatError(message.replace(/\. Maybe .*$/, ''), { cause: error });
}

function toEntry(header: Header, body: AsyncIterable<Buffer>): TarEntry {
  const pax = (header.pax ?? {}) as Record<string, string>;
  const xattrs = xattrsOf(pax);
  return {
    name: header.name,
    type: typeOf(header, pax),
    mode: header.mode & 0o7777,
    uid: paxNumber(pax.uid) ?? header.uid,
    gid: paxNumber(pax.gid) ?? header.gid,
    mtimeMs: mtimeOf(pax) ?? header.mtime.getTime(),
    sizeBytes: header.size,
    ...((header.linkname as string | null) === null ? {} : { linkname: header.linkname }),
    ...(xattrs === undefined ? {} : { xattrs }),
    body,
  };
}

function typeOf(header: Header, pax: Record<string, string>): TarEntryType {
  if (Object.keys(pax).some((key) => key.startsWith('GNU.sparse.'))) return 'unknown';
  switch (header.type) {
    case 'file':
    case 'contiguous-file':
      // Before POSIX, a slash at the end was what told a directory.
      return header.name.endsWith('/') ? 'directory' : 'file';
    case 'directory':
    case 'symlink':
    case 'link':
      return header.type;
    case 'character-device':
    case 'block-device':
    case 'fifo':
      return 'device';
    default:
      return 'unknown';
  }
}

function paxNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

function mtimeOf(pax: Record<string, string>): number | undefined {
  const text = pax.mtime;
  return text !== undefined && /^-?\d{1,12}(\.\d{0,12})?$/.test(text)
    ? Number(text) * 1000
    : undefined;
}

function xattrsOf(pax: Record<string, string>): Record<string, string> | undefined {
  const pairs = Object.entries(pax).filter(([key]) => key.startsWith(XATTR));
  if (pairs.length === 0) return undefined;
  return Object.fromEntries(pairs.map(([key, value]) => [key.slice(XATTR.length), value]));
}

/**
 * An archive of `entries` in their order, as bytes. The same entries give the same bytes.
 * The stream fails with what `entries` or a body throws, and when a body has not its size.
 */
export function packTar(entries: Iterable<TarSource> | AsyncIterable<TarSource>): Readable {
  return Readable.from(packed(entries), { objectMode: false, highWaterMark: 4 * BATCH_BYTES });
}

async function* packed(
  entries: Iterable<TarSource> | AsyncIterable<TarSource>,
): AsyncGenerator<Buffer> {
  const archive = pack();
  const flow = new Flow();
  const filled = fill(archive, entries, flow);
  filled.catch((error: Error) => archive.destroy(error));
  let batch: Buffer[] = [];
  let batchBytes = 0;
  try {
    for await (const chunk of archive as AsyncIterable<Buffer>) {
      batch.push(chunk);
      batchBytes += chunk.length;
      flow.taken(chunk.length);
      if (batchBytes < BATCH_BYTES) continue;
      yield batch.length === 1 ? chunk : Buffer.concat(batch, batchBytes);
      batch = [];
      batchBytes = 0;
    }
    await filled;
    if (batchBytes > 0) yield Buffer.concat(batch, batchBytes);
  } finally {
    archive.destroy();
    flow.taken(Number.POSITIVE_INFINITY);
  }
}

/** Holds the writer back while more than `QUEUED_BYTES_MAX` wait in the packer. */
class Flow {
  #queuedBytes = 0;
  #wake: (() => void) | undefined;

  async added(bytes: number): Promise<void> {
    this.#queuedBytes += bytes;
    if (this.#queuedBytes <= QUEUED_BYTES_MAX) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }

  taken(bytes: number): void {
    this.#queuedBytes -= bytes;
    if (this.#queuedBytes <= QUEUED_BYTES_MAX) this.#wake?.();
  }
}

async function fill(
  archive: Pack,
  entries: Iterable<TarSource> | AsyncIterable<TarSource>,
  flow: Flow,
): Promise<void> {
  for await (const entry of entries) {
    await add(archive, entry);
    // Entries without a stream as body are queued whole, with a header block or more.
    if (typeof entry.body !== 'function') await flow.added(512 + (entry.body?.length ?? 0));
  }
  archive.finalize();
}

async function add(archive: Pack, entry: TarSource): Promise<void> {
  const done = Promise.withResolvers<void>();
  const settle = (error?: Error | null): void => (error ? done.reject(error) : done.resolve());
  const { body } = entry;
  if (typeof body !== 'function') {
    archive.entry(toHeader(entry), body ?? EMPTY, settle).on('error', settle);
    return done.promise;
  }
  const sink = archive.entry(toHeader(entry), settle);
  done.promise.catch(() => {});
  let wake: () => void = () => {};
  sink.on('error', settle);
  sink.on('drain', () => wake());
  sink.on('close', () => wake());
  for await (const chunk of body()) {
    const drained = new Promise<void>((resolve) => {
      wake = resolve;
    });
    if (!sink.write(chunk) && !sink.destroyed) await drained;
    if (sink.destroyed) break;
  }
  sink.end(undefined);
  return done.promise;
}

/** Numbers that the fixed fields of ustar cannot hold go into pax records. */
function toHeader(entry: TarSource): Parameters<Pack['entry']>[0] {
  const seconds = entry.mtimeMs / 1000;
  const pax: Record<string, string> = {};
  if (entry.uid > 0o777777) pax.uid = String(entry.uid);
  if (entry.gid > 0o777777) pax.gid = String(entry.gid);
  if (!Number.isInteger(seconds) || seconds < 0 || seconds > 0x7fffffff) {
    pax.mtime = seconds.toFixed(6);
  }
  for (const [name, value] of Object.entries(entry.xattrs ?? {})) pax[XATTR + name] = value;
  return {
    name: entry.type === 'directory' && !entry.name.endsWith('/') ? `${entry.name}/` : entry.name,
    type: entry.type,
    // The packer takes 0 for "not given"; the bit above the mask keeps a mode of 0 as it is.
    mode: (entry.mode & 0o7777) | 0o100000,
    uid: entry.uid,
    gid: entry.gid,
    mtime: new Date(Math.min(Math.max(0, Math.floor(seconds)), 0x7fffffff) * 1000),
    size: entry.type === 'file' ? entry.sizeBytes : 0,
    ...(entry.linkname === undefined ? {} : { linkname: entry.linkname }),
    ...(Object.keys(pax).length === 0 ? {} : { pax }),
  };
}
