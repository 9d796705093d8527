import { createReadStream, rmSync, statSync } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import type { Digest } from '../../lib/digest.ts';
import { errnoCode } from '../../lib/errors.ts';

const READ_CHUNK_BYTES = 256 * 1024;

/** The blobs of all repositories, one file a digest, in the folder form of an OCI image layout. */
export class BlobStore {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = join(dir, 'blobs', 'sha256');
  }

  async init(): Promise<void> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
  }

  /** Size in bytes; undefined: not there. */
  async size(digest: Digest): Promise<number | undefined> {
    try {
      return (await stat(this.#path(digest))).size;
    } catch (error) {
      if (errnoCode(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** Bytes `start` to `end`, both included. */
  read(digest: Digest, range?: { start: number; end: number }): Readable {
    return createReadStream(this.#path(digest), { highWaterMark: READ_CHUNK_BYTES, ...range });
  }

  /** Takes over a file whose bytes are known to have `digest`, synced, under its name. */
  async adopt(file: string, digest: Digest): Promise<void> {
    await rename(file, this.#path(digest));
    // The name must outlive a crash as well as the bytes do.
    const folder = await open(this.#dir, 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  }

  /** Marks a blob as used now; false: it is not there. */
  async touch(digest: Digest, nowMs: number): Promise<boolean> {
    try {
      await utimes(this.#path(digest), nowMs / 1000, nowMs / 1000);
      return true;
    } catch (error) {
      if (errnoCode(error) === 'ENOENT') return false;
      throw error;
    }
  }

  /** All bytes of a small blob; undefined: not there. */
  async readWhole(digest: Digest): Promise<Buffer | undefined> {
    try {
      return await readFile(this.#path(digest));
    } catch (error) {
      if (errnoCode(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** Removes the blobs that are not `live` and were last used before; how many. */
  async removeOthers(live: ReadonlySet<Digest>, usedBeforeMs: number): Promise<number> {
    let removed = 0;
    for (const name of await readdir(this.#dir)) {
      if (live.has(`sha256:${name}`)) continue;
      const path = join(this.#dir, name);
      // In one go, so that no other request of this process comes between.
      if (statSync(path).mtimeMs >= usedBeforeMs) continue;
      rmSync(path);
      removed++;
    }
    return removed;
  }

  #path(digest: Digest): string {
    return join(this.#dir, digest.slice('sha256:'.length));
  }
}
