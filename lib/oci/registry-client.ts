import { Readable } from 'node:stream';
import { type Digest, isDigest, sha256 } from '../digest.ts';
import { HearthError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { downloadBlob, wrongSize } from './blob-download.ts';
import { BlobUploads } from './blob-upload.ts';
import { MANIFEST_ACCEPT, ManifestError, type ParsedManifest, parseManifest } from './manifest.ts';
import { imageArchitecture, pickPlatform, platformsOf } from './platform.ts';
import { isRepository, isTag } from './reference.ts';
import type { Registry } from './registry.ts';
import { RegistryHttp, type RegistryHttpOptions, type RegistryResponse } from './registry-http.ts';
import { type Descriptor, type ImageManifest, MEDIA_TYPES } from './types.ts';

export interface RegistryClientOptions extends RegistryHttpOptions {
  /** Architecture to pick from an index, as images name it; default this machine's. */
  architecture?: string;
}

/** A client that must be closed. */
export interface RegistryClient extends Registry {
  close(): Promise<void>;
}

const TAG_PAGES_MAX = 50;
const TAGS_SHOWN = 12;

/** Client of one registry, by the OCI distribution protocol. Nothing is sent until it is used. */
export function createRegistryClient(options: RegistryClientOptions): RegistryClient {
  return new HttpRegistry(options);
}

class HttpRegistry implements RegistryClient {
  readonly #http: RegistryHttp;
  readonly #uploads: BlobUploads;
  readonly #architecture: string;

  constructor(options: RegistryClientOptions) {
    this.#http = new RegistryHttp(options);
    this.#uploads = new BlobUploads(this.#http);
    this.#architecture = options.architecture ?? imageArchitecture();
  }

  async getManifest(
    repository: string,
    reference: string,
  ): Promise<{ manifest: ImageManifest; digest: Digest; bytes: Buffer }> {
    requireName(repository, reference);
    const first = await this.#fetchManifest(repository, reference);
    if (first.parsed.kind === 'image') return { ...first, manifest: first.parsed.manifest };
    const { index } = first.parsed;
    const picked = pickPlatform(index, this.#architecture);
    if (picked === undefined) {
      throw new HearthError(
        'PlatformMismatch',
        `${this.#shown(repository, reference)}: image is ${platformsOf(index)}, node needs linux/${this.#architecture}`,
      );
    }
    const second = await this.#fetchManifest(repository, picked.digest);
    if (second.parsed.kind === 'image') return { ...second, manifest: second.parsed.manifest };
    throw new HearthError(
      'ImageCorrupt',
      `${this.#shown(repository, reference)}: index in an index`,
    );
  }

  async putManifest(
    repository: string,
    reference: string,
    manifest: ImageManifest,
  ): Promise<Digest> {
    requireName(repository, reference);
    const bytes = Buffer.from(JSON.stringify(manifest));
    const response = await this.#http.send({
      method: 'PUT',
      url: `/v2/${repository}/manifests/${reference}`,
      subject: this.#shown(repository, reference),
      scope: pushScope(repository),
      headers: { 'content-type': manifest.mediaType ?? MEDIA_TYPES.manifest },
      body: bytes,
    });
    await response.body.dump();
    return sha256(bytes);
  }

  hasBlob(repository: string, digest: Digest): Promise<boolean> {
    requireName(repository, digest);
    return this.#uploads.has(repository, digest);
  }

  async getBlob(
    repository: string,
    descriptor: Pick<Descriptor, 'digest'> & { size?: number },
  ): Promise<Readable> {
    requireName(repository, descriptor.digest);
    const { digest } = descriptor;
    const response = await this.#openBlob(repository, digest, 0);
    const length = Number(response.headers['content-length'] ?? descriptor.size);
    const size = descriptor.size ?? length;
    if (length !== size) {
      await response.body.dump();
      throw wrongSize(digest, String(length), size);
    }
    const bytes = downloadBlob({
      descriptor: { digest, size },
      body: response.body as AsyncIterable<Buffer>,
      resume: async (offset) =>
        (await this.#openBlob(repository, digest, offset)).body as AsyncIterable<Buffer>,
    });
    return Readable.from(bytes, { objectMode: false, highWaterMark: 256 * 1024 });
  }

  async putBlob(
    repository: string,
    blob: { digest: Digest; size: number; open(): Readable },
  ): Promise<void> {
    requireName(repository, blob.digest);
    await this.#uploads.put(repository, blob);
  }

  putStream(
    repository: string,
    stream: Readable,
    options: { bytesMax?: number } = {},
  ): Promise<{ digest: Digest; sizeBytes: number }> {
    requireName(repository, 'latest');
    return this.#uploads.putStream(repository, stream, options.bytesMax ?? LIMITS.layerBytesMax);
  }

  async listTags(repository: string): Promise<string[]> {
    requireName(repository, 'latest');
    const tags: string[] = [];
    let url: string | undefined = `/v2/${repository}/tags/list?n=1000`;
    for (let page = 0; url !== undefined && page < TAG_PAGES_MAX; page++) {
      const response: RegistryResponse = await this.#http.send({
        method: 'GET',
        url,
        subject: repository,
        scope: pullScope(repository),
        expected: [404],
      });
      const text = (await readBody(response, LIMITS.manifestBytesMax)).toString('utf8');
      if (response.statusCode === 404) return tags;
      tags.push(...tagsOf(text));
      url = /<([^>]{1,2048})>;\s*rel="?next"?/.exec(String(response.headers.link ?? ''))?.[1];
    }
    return tags;
  }

  async deleteManifest(repository: string, digest: Digest): Promise<void> {
    requireName(repository, digest);
    const response = await this.#http.send({
      method: 'DELETE',
      url: `/v2/${repository}/manifests/${digest}`,
      subject: this.#shown(repository, digest),
      scope: `repository:${repository}:delete`,
      // Gone is what was wanted.
      expected: [404],
    });
    await response.body.dump();
  }

  async ping(): Promise<void> {
    const response = await this.#http.send({ method: 'GET', url: '/v2/', subject: 'its API' });
    await response.body.dump();
  }

  close(): Promise<void> {
    return this.#http.close();
  }

  async #fetchManifest(
    repository: string,
    reference: string,
  ): Promise<{ parsed: ParsedManifest; digest: Digest; bytes: Buffer }> {
    const response = await this.#http.send({
      method: 'GET',
      url: `/v2/${repository}/manifests/${reference}`,
      subject: this.#shown(repository, reference),
      scope: pullScope(repository),
      headers: { accept: MANIFEST_ACCEPT },
      expected: [404],
    });
    if (response.statusCode === 404) {
      await response.body.dump();
      throw await this.#notFound(repository, reference);
    }
    const bytes = await readBody(response, LIMITS.manifestBytesMax);
    const digest = sha256(bytes);
    const where = this.#shown(repository, reference);
    if (isDigest(reference) && digest !== reference) {
      throw new HearthError('ImageCorrupt', `manifest ${where}: content has digest ${digest}`);
    }
    try {
      const type = String(response.headers['content-type'] ?? '');
      return { parsed: parseManifest(bytes, type), digest, bytes };
    } catch (error) {
      if (!(error instanceof ManifestError)) throw error;
      throw new HearthError('ImageCorrupt', `manifest ${where}: ${error.message}`);
    }
  }

  /** Says what there is instead; that the registry tells it is not needed. */
  async #notFound(repository: string, reference: string): Promise<HearthError> {
    const where = this.#shown(repository, reference);
    const tags = await this.listTags(repository).catch(() => []);
    if (tags.length === 0) {
      return new HearthError('BaseImageNotFound', `${where}: image not found`);
    }
    const more = tags.length > TAGS_SHOWN ? `, and ${tags.length - TAGS_SHOWN} more` : '';
    const what = isDigest(reference) ? 'digest' : 'tag';
    return new HearthError(
      'BaseImageNotFound',
      `${where}: ${what} not found; available: ${tags.slice(0, TAGS_SHOWN).join(', ')}${more}`,
      { details: { tags: tags.slice(0, 100) } },
    );
  }

  async #openBlob(repository: string, digest: Digest, offset: number): Promise<RegistryResponse> {
    const response = await this.#http.send({
      method: 'GET',
      url: `/v2/${repository}/blobs/${digest}`,
      subject: `${repository}@${digest}`,
      scope: pullScope(repository),
      headers: offset === 0 ? {} : { range: `bytes=${offset}-` },
      expected: [404],
    });
    const { host } = this.#http.identity;
    if (response.statusCode === 404) {
      await response.body.dump();
      throw new HearthError('BlobNotFound', `blob ${digest} is not in ${host}/${repository}`);
    }
    if (offset > 0 && response.statusCode !== 206) {
      response.body.destroy();
      throw new HearthError('RegistryError', `${host} cannot resume blob ${digest} at ${offset}`);
    }
    return response;
  }

  #shown(repository: string, reference: string): string {
    const { host, isPlatform } = this.#http.identity;
    return `${isPlatform ? '' : `${host}/`}${repository}${isDigest(reference) ? '@' : ':'}${reference}`;
  }
}

function tagsOf(text: string): string[] {
  const { tags } = JSON.parse(text) as { tags?: unknown };
  return Array.isArray(tags) ? tags.filter((tag) => typeof tag === 'string' && isTag(tag)) : [];
}

async function readBody(response: RegistryResponse, bytesMax: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response.body as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > bytesMax) {
      throw new HearthError('ImageCorrupt', `answer is larger than ${bytesMax} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Nothing but a name, a tag or a digest gets into a URL. */
function requireName(repository: string, reference: string): void {
  if (isRepository(repository) && (isTag(reference) || isDigest(reference))) return;
  const shown = JSON.stringify(`${repository}:${reference}`.slice(0, 120));
  throw new HearthError('BadRequest', `image ${shown} is not a valid name`);
}

function pullScope(repository: string): string {
  return `repository:${repository}:pull`;
}

function pushScope(repository: string): string {
  return `repository:${repository}:pull,push`;
}
