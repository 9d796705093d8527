import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream, existsSync } from 'node:fs';
import {
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { packTar, type TarSource } from '../../lib/archive/tar.ts';
import { type Digest, DigestStream, isDigest, sha256 } from '../../lib/digest.ts';
import { errnoCode, HearthError } from '../../lib/errors.ts';
import { LIMITS } from '../../lib/limits.ts';
import { MEDIA_TYPES } from '../../lib/oci/types.ts';
import { removeTree } from '../../lib/remove-tree.ts';
import { unpackLayer } from '../../node-agent/images/unpack.ts';
import type { Layer } from './layer.ts';
import { type LayerEntriesOptions, layerEntries } from './layer-entries.ts';

/** A layer that this builder made. */
export interface StoredLayer extends Layer {
  /** Its files in an absolute folder that overlayfs can mount; unpacked when first asked for. */
  folder(): Promise<string>;
}

interface Entry {
  digest: Digest;
  sizeBytes: number;
  mtimeMsMax?: number;
}

/**
 * Layers made here, by digest, and which step made which: the build cache. Under `root`:
 * `layers/HEX/` the files of a layer or `archives/HEX` its bytes, whichever it was made as, and the
 * files beside the bytes once a step has needed them; `entries/HEX.json` its size; `steps/HEX` the
 * digest that the step with this key made; `work/` what is under way, removed at a start.
 */
export class LayerStore {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  /** Makes the folders; removes what an ended process left half made. */
  async init(): Promise<void> {
    await removeTree(join(this.#root, 'work'));
    for (const name of ['work', 'layers', 'archives', 'entries', 'steps']) {
      await mkdir(join(this.#root, name), { recursive: true, mode: 0o700 });
    }
  }

  /** A fresh folder on the same file system; the caller removes it, or gives it to `add`. */
  workFolder(prefix: string): Promise<string> {
    return mkdtemp(join(this.#root, 'work', `${prefix}-`));
  }

  /** Takes over `folder`, an upper folder, as a layer. */
  async add(folder: string, options: LayerEntriesOptions = {}): Promise<StoredLayer> {
    const measured = await measure(packTar(layerEntries(folder, options)));
    const entry: Entry = { ...measured, ...options };
    await this.#write(join('entries', `${hex(entry.digest)}.json`), JSON.stringify(entry));
    await publish(folder, this.#layerPath(entry.digest));
    return this.#stored(entry);
  }

  /** Makes a layer of entries; its files are written only if a later step needs them. */
  async addEntries(entries: AsyncIterable<TarSource>): Promise<StoredLayer> {
    const temporary = join(this.#root, 'work', randomUUID());
    try {
      const entry: Entry = await measure(packTar(entries), createWriteStream(temporary));
      await this.#write(join('entries', `${hex(entry.digest)}.json`), JSON.stringify(entry));
      await rename(temporary, this.#archivePath(entry.digest));
      return this.#stored(entry);
    } finally {
      await rm(temporary, { force: true });
    }
  }

  /** The layer that the step with this key made, if it is still here. */
  async find(stepKey: string): Promise<StoredLayer | undefined> {
    const digest = await this.#read(join('steps', hex(sha256(stepKey))));
    if (digest === undefined || !isDigest(digest) || !this.#has(digest)) return undefined;
    const text = await this.#read(join('entries', `${hex(digest)}.json`));
    if (text === undefined) return undefined;
    const now = new Date();
    await utimes(join(this.#root, 'entries', `${hex(digest)}.json`), now, now);
    return this.#stored(JSON.parse(text) as Entry);
  }

  async remember(stepKey: string, digest: Digest): Promise<void> {
    await this.#write(join('steps', hex(sha256(stepKey))), digest);
  }

  /**
   * The layer's archive again: the same bytes as when it was added. A layer that is damaged is
   * forgotten, so that the next build makes it anew; the stream fails then.
   */
  async open(digest: Digest): Promise<Readable> {
    const text = await this.#read(join('entries', `${hex(digest)}.json`));
    if (text === undefined) throw new HearthError('BlobNotFound', `layer ${digest} is not here`);
    const { mtimeMsMax } = JSON.parse(text) as Entry;
    const options = mtimeMsMax === undefined ? {} : { mtimeMsMax };
    const archive = existsSync(this.#archivePath(digest))
      ? createReadStream(this.#archivePath(digest))
      : packTar(layerEntries(this.#layerPath(digest), options));
    return Readable.from(this.#checked(archive, digest), { objectMode: false });
  }

  async *#checked(archive: Readable, digest: Digest): AsyncGenerator<Buffer> {
    const hash = createHash('sha256');
    for await (const chunk of archive as AsyncIterable<Buffer>) {
      hash.update(chunk);
      yield chunk;
    }
    if (`sha256:${hash.digest('hex')}` === digest) return;
    await this.#remove(digest);
    throw new HearthError('BuildInterrupted', `layer ${digest} of the build cache was damaged`, {
      hint: 'deploy again: the layer is made anew',
    });
  }

  /** Removes the layers used longest ago, until at most `layersMax` stay. When no build runs. */
  async prune(layersMax: number): Promise<void> {
    const names = await readdir(join(this.#root, 'entries'));
    if (names.length <= layersMax) return;
    const used = await Promise.all(
      names.map(async (name) => {
        const { mtimeMs } = await stat(join(this.#root, 'entries', name));
        return { name, mtimeMs };
      }),
    );
    used.sort((a, b) => a.mtimeMs - b.mtimeMs);
    for (const { name } of used.slice(0, names.length - layersMax)) {
      await this.#remove(`sha256:${name.replace('.json', '')}`);
    }
    await this.#forgetSteps();
  }

  /** Steps whose layer is gone. */
  async #forgetSteps(): Promise<void> {
    for (const name of await readdir(join(this.#root, 'steps'))) {
      const digest = await this.#read(join('steps', name));
      if (digest !== undefined && isDigest(digest) && this.#has(digest)) continue;
      await rm(join(this.#root, 'steps', name), { force: true });
    }
  }

  async #remove(digest: Digest): Promise<void> {
    await rm(join(this.#root, 'entries', `${hex(digest)}.json`), { force: true });
    await rm(this.#archivePath(digest), { force: true });
    await removeTree(this.#layerPath(digest));
  }

  #stored({ digest, sizeBytes }: Entry): StoredLayer {
    const folder = (): Promise<string> => this.#unpacked(digest);
    return { mediaType: MEDIA_TYPES.layerTar, digest, diffId: digest, sizeBytes, folder };
  }

  async #unpacked(digest: Digest): Promise<string> {
    const path = this.#layerPath(digest);
    if (existsSync(path)) return path;
    const work = await this.workFolder('unpack');
    try {
      const dir = join(work, 'layer');
      const stream = (await this.open(digest)) as AsyncIterable<Buffer>;
      await unpackLayer({ stream, dir });
      await publish(dir, path);
      return path;
    } finally {
      await removeTree(work);
    }
  }

  #has(digest: Digest): boolean {
    return existsSync(this.#layerPath(digest)) || existsSync(this.#archivePath(digest));
  }

  #archivePath(digest: Digest): string {
    return join(this.#root, 'archives', hex(digest));
  }

  #layerPath(digest: Digest): string {
    return join(this.#root, 'layers', hex(digest));
  }

  async #read(name: string): Promise<string | undefined> {
    try {
      return await readFile(join(this.#root, name), 'utf8');
    } catch (error) {
      if (errnoCode(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** Whole or not at all: a builder may die at any time. */
  async #write(name: string, text: string): Promise<void> {
    const temporary = join(this.#root, 'work', randomUUID());
    await writeFile(temporary, text);
    await rename(temporary, join(this.#root, name));
  }
}

/** Another build may have made the same layer meanwhile: equal digest, equal files. */
async function publish(folder: string, target: string): Promise<void> {
  try {
    if (!existsSync(target)) return await rename(folder, target);
  } catch (error) {
    if (!['ENOTEMPTY', 'EEXIST'].includes(errnoCode(error) ?? '')) throw error;
  }
  await removeTree(folder);
}

/** Hashes and counts an archive, and writes it to `copy`. */
async function measure(
  archive: Readable,
  copy?: Writable,
): Promise<{ digest: Digest; sizeBytes: number }> {
  const measured = new DigestStream();
  measured.on('data', () => {
    if (measured.sizeBytes <= LIMITS.layerBytesMax) return;
    measured.destroy(
      new HearthError('BuildStepFailed', `layer is larger than ${LIMITS.layerBytesMax} bytes`),
    );
  });
  if (copy === undefined) await pipeline(archive, measured);
  else await pipeline(archive, measured, copy);
  return { digest: measured.digest, sizeBytes: measured.sizeBytes };
}

function hex(digest: Digest): string {
  return digest.slice('sha256:'.length);
}
