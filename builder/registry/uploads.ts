import { createHash, type Hash, randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Digest } from '../../lib/digest.ts';
import type { BlobStore } from './blob-store.ts';
import { RegistryProblem } from './problem.ts';

export interface UploadLimits {
  blobBytesMax: number;
  /** Open uploads at one time. */
  uploadsMax: number;
  /** An upload that nobody wrote to for so long is removed. */
  idleMs: number;
}

interface Upload {
  id: string;
  repository: string;
  path: string;
  file: FileHandle;
  hash: Hash;
  sizeBytes: number;
  usedMs: number;
  isBusy: boolean;
}

/** Uploads that are under way: a temporary file each, hashed while it is written. */
export class Uploads {
  readonly #dir: string;
  readonly #blobs: BlobStore;
  readonly #limits: UploadLimits;
  readonly #uploads = new Map<string, Upload>();

  constructor(dir: string, blobs: BlobStore, limits: UploadLimits) {
    this.#dir = join(dir, 'uploads');
    this.#blobs = blobs;
    this.#limits = limits;
  }

  /** Uploads do not outlive the process: what an earlier one left is removed. */
  async init(): Promise<void> {
    await rm(this.#dir, { recursive: true, force: true });
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
  }

  /** Id of a new upload. @throws RegistryProblem TOOMANYREQUESTS */
  async start(repository: string): Promise<string> {
    if (this.#uploads.size >= this.#limits.uploadsMax) {
      throw new RegistryProblem('TOOMANYREQUESTS', `${this.#uploads.size} uploads are open`);
    }
    const id = randomUUID();
    const path = join(this.#dir, id);
    const file = await open(path, 'wx', 0o600);
    const hash = createHash('sha256');
    const usedMs = Date.now();
    this.#uploads.set(id, {
      id,
      repository,
      path,
      file,
      hash,
      sizeBytes: 0,
      usedMs,
      isBusy: false,
    });
    return id;
  }

  /** Bytes received so far. */
  sizeBytes(repository: string, id: string): number {
    return this.#get(repository, id).sizeBytes;
  }

  /** Adds a chunk. The bytes that came before a broken connection are kept. */
  async write(repository: string, id: string, chunk: AsyncIterable<Buffer>): Promise<number> {
    const upload = this.#take(repository, id);
    try {
      for await (const bytes of chunk) await this.#append(upload, bytes);
      return upload.sizeBytes;
    } finally {
      upload.isBusy = false;
      upload.usedMs = Date.now();
    }
  }

  /** Ends an upload: its bytes become the blob `digest`. @throws RegistryProblem DIGEST_INVALID */
  async finish(repository: string, id: string, digest: Digest): Promise<void> {
    const upload = this.#take(repository, id);
    try {
      const found: Digest = `sha256:${upload.hash.digest('hex')}`;
      if (found !== digest) {
        throw new RegistryProblem('DIGEST_INVALID', `digest does not match: content has ${found}`, {
          detail: { expected: digest, found, sizeBytes: upload.sizeBytes },
        });
      }
      await upload.file.sync();
      await this.#blobs.adopt(upload.path, digest);
    } finally {
      await this.#drop(upload);
    }
  }

  /** Ends an upload, also while a request, perhaps one whose sender is gone, writes to it. */
  async cancel(repository: string, id: string): Promise<void> {
    await this.#drop(this.#get(repository, id));
  }

  /** Removes uploads that were left. */
  async expire(nowMs: number): Promise<number> {
    const old = [...this.#uploads.values()].filter(
      (upload) => !upload.isBusy && nowMs - upload.usedMs > this.#limits.idleMs,
    );
    for (const upload of old) await this.#drop(upload);
    return old.length;
  }

  async close(): Promise<void> {
    for (const upload of [...this.#uploads.values()]) await this.#drop(upload);
  }

  async #append(upload: Upload, bytes: Buffer): Promise<void> {
    const sizeBytes = upload.sizeBytes + bytes.length;
    if (sizeBytes > this.#limits.blobBytesMax) {
      await this.#drop(upload);
      throw new RegistryProblem('SIZE_INVALID', 'the blob is too large', {
        detail: { limitBytes: this.#limits.blobBytesMax },
      });
    }
    await writeAll(upload.file, bytes);
    upload.hash.update(bytes);
    upload.sizeBytes = sizeBytes;
  }

  #get(repository: string, id: string): Upload {
    const upload = this.#uploads.get(id);
    if (upload !== undefined && upload.repository === repository) return upload;
    throw new RegistryProblem('BLOB_UPLOAD_UNKNOWN', 'no such upload', { detail: { id } });
  }

  /** One request at a time may write to an upload. */
  #take(repository: string, id: string): Upload {
    const upload = this.#get(repository, id);
    if (upload.isBusy) {
      throw new RegistryProblem('BLOB_UPLOAD_INVALID', 'another request writes to this upload', {
        status: 409,
      });
    }
    upload.isBusy = true;
    return upload;
  }

  async #drop(upload: Upload): Promise<void> {
    this.#uploads.delete(upload.id);
    await upload.file.close().catch(() => {});
    await rm(upload.path, { force: true });
  }
}

async function writeAll(file: FileHandle, bytes: Buffer): Promise<void> {
  let offset = 0;
  while (offset < bytes.length) {
    offset += (await file.write(bytes, offset, bytes.length - offset)).bytesWritten;
  }
}
