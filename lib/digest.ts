import { createHash, type Hash } from 'node:crypto';
import { Transform } from 'node:stream';

/** `sha256:` + 64 hex signs (OCI image spec, "Digests"). */
export type Digest = `sha256:${string}`;

const DIGEST = /^sha256:[a-f0-9]{64}$/;

export function isDigest(text: string): text is Digest {
  return DIGEST.test(text);
}

export function sha256(data: string | Uint8Array): Digest {
  return `sha256:${createHash('sha256').update(data).digest('hex')}`;
}

/** A stream that passes bytes through while it hashes and counts them. */
export class DigestStream extends Transform {
  readonly #hash: Hash = createHash('sha256');
  #sizeBytes = 0;
  #digest: Digest | undefined;

  override _transform(chunk: Buffer, _encoding: string, done: (e: null, c: Buffer) => void): void {
    this.#hash.update(chunk);
    this.#sizeBytes += chunk.length;
    done(null, chunk);
  }

  /** Digest of all bytes; call after the stream has ended. */
  get digest(): Digest {
    this.#digest ??= `sha256:${this.#hash.digest('hex')}`;
    return this.#digest;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }
}
