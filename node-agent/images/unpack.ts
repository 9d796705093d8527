import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { EntryRefused } from '../../lib/archive/entry-name.ts';
import { readTar, type TarEntry, TarFormatError } from '../../lib/archive/tar.ts';
import type { Digest } from '../../lib/digest.ts';
import { type ErrorCode, errnoCode, HearthError } from '../../lib/errors.ts';
import { LIMITS } from '../../lib/limits.ts';
import {
  AT_FDCWD,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
} from '../engine/kernel/linux-constants.ts';
import type { Syscalls } from '../engine/kernel/syscall-types.ts';
import { syscalls } from '../engine/kernel/syscalls.ts';
import { parseEntryName } from './entry-name.ts';
import { LayerTree } from './layer-tree.ts';

export interface UnpackOptions {
  /** The archive's bytes, not compressed. */
  stream: AsyncIterable<Buffer>;
  /** Absolute path of a folder that is made; its parent is there. */
  dir: string;
  limits?: {
    /** Of the archive itself, headers included. */
    bytesMax?: number;
    entriesMax?: number;
  };
  /** Whether `.wh.` names hide names of layers below (default), or are names like others. */
  whiteouts?: boolean;
  /** Code of the error for an archive that is refused; default `ImageCorrupt`. */
  refusedCode?: ErrorCode;
  sys?: Syscalls;
}

export interface Unpacked {
  /** Digest of the archive: a layer's diffId. */
  digest: Digest;
  sizeBytes: number;
  entries: number;
  /** Devices, FIFOs and other files of the kernel, which are left out. */
  skipped: number;
}

/**
 * Unpacks one archive into a new folder, as a lower layer of overlayfs. Modes, owners (the image's
 * ids), times and `user.*` attributes are the archive's. Nothing outside of the folder is touched,
 * whatever the archive holds. On an error the folder stays, for the caller to remove.
 * @throws HearthError `refusedCode`, StorageFull
 */
export async function unpackLayer(options: UnpackOptions): Promise<Unpacked> {
  const sys = options.sys ?? syscalls;
  const refusedCode = options.refusedCode ?? 'ImageCorrupt';
  const counted = new CountedTar(options.stream, {
    bytesMax: options.limits?.bytesMax ?? LIMITS.imageUnpackedBytesMax,
    refusedCode,
  });
  await mkdir(options.dir, { mode: 0o755 });
  const rootFd = sys.openat(AT_FDCWD, options.dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  const tree = new LayerTree(sys, rootFd);
  try {
    sys.fchmod(rootFd, 0o755);
    const { entries, skipped } = await applyAll(tree, counted.bytes(), options);
    await tree.finish();
    return { digest: counted.digest(), sizeBytes: counted.sizeBytes, entries, skipped };
  } catch (error) {
    throw toUnpackError(error, refusedCode);
  } finally {
    tree.close();
    sys.close(rootFd);
  }
}

async function applyAll(
  tree: LayerTree,
  stream: AsyncIterable<Buffer>,
  options: UnpackOptions,
): Promise<{ entries: number; skipped: number }> {
  const entriesMax = options.limits?.entriesMax ?? LIMITS.layerEntriesMax;
  const whiteouts = options.whiteouts ?? true;
  let entries = 0;
  let skipped = 0;
  for await (const entry of readTar(stream)) {
    entries++;
    if (entries > entriesMax) throw new EntryRefused(`more than ${entriesMax} entries`);
    try {
      if (!(await apply(tree, entry, whiteouts))) skipped++;
    } catch (error) {
      const why = refusal(error);
      if (why === undefined) throw error;
      throw new EntryRefused(`entry ${JSON.stringify(entry.name.slice(0, 200))}: ${why}`);
    }
  }
  return { entries, skipped };
}

/** Why an entry is refused, by us or by the kernel, which has limits of its own; undefined: other errors. */
function refusal(error: unknown): string | undefined {
  if (error instanceof EntryRefused) return error.message;
  const isLimit = ['EMLINK', 'ENAMETOOLONG', 'E2BIG', 'ERANGE'].includes(errnoCode(error) ?? '');
  return isLimit ? `the kernel refuses it (${errnoCode(error)})` : undefined;
}

/** False: left out. */
async function apply(tree: LayerTree, entry: TarEntry, whiteouts: boolean): Promise<boolean> {
  const target = parseEntryName(entry.name, { whiteouts });
  if (target.kind === 'ignored') return false;
  if (target.kind === 'opaque') tree.opaque(target.parent);
  else if (target.kind === 'whiteout') tree.whiteout(target);
  else if (entry.type === 'directory') tree.directory(target, entry);
  else if (entry.type === 'file') await tree.file(target, entry, entry.body);
  else if (entry.type === 'symlink') tree.symlink(target, entry, entry.linkname ?? '');
  else if (entry.type === 'link') tree.link(target, entry.linkname ?? '');
  else if (entry.type === 'device') return false;
  else throw new EntryRefused('its type is not supported');
  return true;
}

/** The archive's bytes, hashed, counted and bounded. */
class CountedTar {
  readonly #stream: AsyncIterable<Buffer>;
  readonly #options: { bytesMax: number; refusedCode: ErrorCode };
  readonly #hash = createHash('sha256');
  sizeBytes = 0;

  constructor(
    stream: AsyncIterable<Buffer>,
    options: { bytesMax: number; refusedCode: ErrorCode },
  ) {
    this.#stream = stream;
    this.#options = options;
  }

  async *bytes(): AsyncGenerator<Buffer> {
    const { bytesMax } = this.#options;
    for await (const chunk of this.#stream) {
      this.sizeBytes += chunk.length;
      if (this.sizeBytes > bytesMax) {
        throw new EntryRefused(`it unpacks to more than ${bytesMax} bytes`);
      }
      this.#hash.update(chunk);
      yield chunk;
    }
  }

  digest(): Digest {
    return `sha256:${this.#hash.digest('hex')}`;
  }
}

function toUnpackError(error: unknown, refusedCode: ErrorCode): unknown {
  if (error instanceof EntryRefused) return new HearthError(refusedCode, error.message);
  if (error instanceof TarFormatError) {
    return new HearthError(refusedCode, `the archive is broken: ${error.message}`);
  }
  const code = errnoCode(error);
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new HearthError('StorageFull', 'no space left to unpack', { cause: error });
  }
  return error;
}
