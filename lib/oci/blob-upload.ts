import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { type Digest, isDigest } from '../digest.ts';
import { HearthError } from '../errors.ts';
import { failureOfError, isWorthAnotherUpload } from './registry-failure.ts';
import type { RegistryHttp, RegistryResponse } from './registry-http.ts';

const ATTEMPTS_MAX = 3;

/** Pushes blobs: the upload part of the distribution protocol (end-4 to end-6, end-11). */
export class BlobUploads {
  readonly #http: RegistryHttp;

  constructor(http: RegistryHttp) {
    this.#http = http;
  }

  async has(repository: string, digest: Digest): Promise<boolean> {
    const response = await this.#http.send({
      method: 'HEAD',
      url: `/v2/${repository}/blobs/${digest}`,
      subject: `${repository}@${digest}`,
      scope: scopeOf(repository),
      expected: [404],
    });
    await response.body.dump();
    return response.statusCode !== 404;
  }

  /** Sends a blob that is not there yet; again from its start when the connection breaks. */
  async put(
    repository: string,
    blob: { digest: Digest; size: number; open(): Readable },
  ): Promise<void> {
    if (await this.has(repository, blob.digest)) return;
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#putOnce(repository, blob);
      } catch (error) {
        if (attempt === ATTEMPTS_MAX || !isWorthAnotherUpload(error)) throw error;
      }
    }
  }

  async #putOnce(
    repository: string,
    blob: { digest: Digest; size: number; open(): Readable },
  ): Promise<void> {
    // A registry that has the bytes in another repository takes them from there.
    const location = await this.#start(repository, `?mount=${encodeURIComponent(blob.digest)}`);
    if (location === undefined) return;
    const body = blob.open();
    try {
      const response = await this.#http.send({
        method: 'PUT',
        url: withDigest(location, blob.digest),
        subject: `${repository}@${blob.digest}`,
        scope: scopeOf(repository),
        headers: {
          'content-type': 'application/octet-stream',
          'content-length': String(blob.size),
        },
        body,
        once: true,
      });
      await response.body.dump();
    } catch (error) {
      await this.#cancel(repository, location);
      throw error;
    } finally {
      body.destroy();
    }
  }

  async putStream(
    repository: string,
    stream: Readable,
    bytesMax: number,
  ): Promise<{ digest: Digest; sizeBytes: number }> {
    let location: string | undefined;
    const counted = new CountedBody(stream, bytesMax);
    try {
      location = await this.#start(repository, '');
      const patched = await this.#http.send({
        method: 'PATCH',
        url: location ?? '',
        subject: repository,
        scope: scopeOf(repository),
        headers: { 'content-type': 'application/octet-stream' },
        body: counted.bytes(),
        once: true,
      });
      await patched.body.dump();
      location = locationOf(patched, location);
      const digest = counted.digest();
      const response = await this.#http.send({
        method: 'PUT',
        url: withDigest(location ?? '', digest),
        subject: `${repository}@${digest}`,
        scope: scopeOf(repository),
        headers: { 'content-length': '0' },
        once: true,
      });
      await response.body.dump();
      return { digest, sizeBytes: counted.sizeBytes };
    } catch (error) {
      stream.destroy();
      if (location !== undefined) await this.#cancel(repository, location);
      // Why the body ended comes before what the broken request says.
      throw counted.error ?? failureOfError(this.#http.identity, error);
    }
  }

  /** URL to send to; undefined: the blob was mounted. */
  async #start(repository: string, query: string): Promise<string | undefined> {
    const response = await this.#http.send({
      method: 'POST',
      url: `/v2/${repository}/blobs/uploads/${query}`,
      subject: repository,
      scope: scopeOf(repository),
      headers: { 'content-length': '0' },
    });
    await response.body.dump();
    if (response.statusCode === 201) return undefined;
    const location = locationOf(response, undefined);
    if (location !== undefined) return location;
    throw new HearthError('RegistryError', `registry gave no upload location for ${repository}`);
  }

  async #cancel(repository: string, location: string): Promise<void> {
    try {
      const response = await this.#http.send({
        method: 'DELETE',
        url: location,
        subject: repository,
        scope: scopeOf(repository),
        once: true,
      });
      await response.body.dump();
    } catch {
      // The first error counts; the registry removes an upload that is left.
    }
  }
}

/** A body that is hashed, counted and bounded while it is sent. */
class CountedBody {
  readonly #stream: Readable;
  readonly #bytesMax: number;
  readonly #hash = createHash('sha256');
  sizeBytes = 0;
  /** What the body failed with. */
  error: unknown;

  constructor(stream: Readable, bytesMax: number) {
    this.#stream = stream;
    this.#bytesMax = bytesMax;
    // It may fail before it is read, while the upload is begun: reading it tells then, and without
    // a listener the process would end.
    stream.on('error', () => {});
  }

  async *bytes(): AsyncGenerator<Buffer> {
    try {
      for await (const chunk of this.#stream as AsyncIterable<Buffer>) {
        this.sizeBytes += chunk.length;
        if (this.sizeBytes > this.#bytesMax) {
          throw new HearthError(
            'PayloadTooLarge',
            `upload is larger than the limit of ${this.#bytesMax} bytes`,
          );
        }
        this.#hash.update(chunk);
        yield chunk;
      }
    } catch (error) {
      this.error = error;
      throw error;
    }
  }

  digest(): Digest {
    const digest = `sha256:${this.#hash.digest('hex')}`;
    if (isDigest(digest)) return digest;
    throw new Error('no digest');
  }
}

function locationOf(response: RegistryResponse, before: string | undefined): string | undefined {
  const { location } = response.headers;
  return typeof location === 'string' ? location : before;
}

/** The location may have a query of its own. */
function withDigest(location: string, digest: Digest): string {
  return `${location}${location.includes('?') ? '&' : '?'}digest=${encodeURIComponent(digest)}`;
}

function scopeOf(repository: string): string {
  return `repository:${repository}:pull,push`;
}
