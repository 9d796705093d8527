import { buffer } from 'node:stream/consumers';
import { HearthError } from '../../lib/errors.ts';
import { LIMITS } from '../../lib/limits.ts';
import { imageArchitecture } from '../../lib/oci/platform.ts';
import { type ImageReference, parseReference } from '../../lib/oci/reference.ts';
import type { Registry } from '../../lib/oci/registry.ts';
import { createRegistryClient, type RegistryClient } from '../../lib/oci/registry-client.ts';
import type { ImageRef } from '../../lib/records.ts';
import type { Log } from '../../lib/telemetry/log.ts';
import { parseImageConfig } from '../../node-agent/images/image-config.ts';
import { createImageStore } from '../../node-agent/images/image-store.ts';
import type { ImageStore } from '../../node-agent/images/image-store-types.ts';
import { BASE_IMAGES, type BaseImages } from '../base-images/base-image.ts';
import type { BaseImage } from '../execute/base.ts';
import type { Layer } from '../layers/layer.ts';

export interface ImageSourcesOptions {
  /** Of the platform: images without a host are looked up here first. */
  registry: Registry;
  baseImages: BaseImages;
  /** Folder of pulled images. */
  dir: string;
  log: Log;
}

const HUB = 'registry-1.docker.io';
const HUB_CONNECT_MS = 5_000;
const CLIENTS_MAX = 16;

interface Source {
  registry: Registry;
  store: ImageStore;
}

/** Finds the images that FROM and COPY --from name: built in, of the platform, or of a registry. */
export class ImageSources {
  readonly #options: ImageSourcesOptions;
  readonly #clients = new Map<string, { client: RegistryClient; source: Source }>();
  readonly #platform: Source;

  constructor(options: ImageSourcesOptions) {
    this.#options = options;
    this.#platform = this.#source(options.registry);
  }

  /**
   * Reads manifest and configuration; layers are pulled when they are first needed. A built-in
   * image is made first, which `onMake` learns if it is waited for.
   * @throws HearthError BaseImageNotFound, PlatformMismatch, ImageCorrupt, Registry…
   */
  async find(reference: string, onMake: () => void = () => {}): Promise<BaseImage> {
    const parsed = parseReference(reference);
    if (parsed.host !== undefined) return this.#open(this.#remote(parsed.host), parsed);
    if (parsed.repository.startsWith('hearth/')) return this.#builtIn(parsed, onMake);
    try {
      return await this.#open(this.#platform, parsed);
    } catch (error) {
      if (!(error instanceof HearthError) || error.code !== 'BaseImageNotFound') throw error;
      return this.#fromHub(reference, parsed);
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#clients.values()].map(({ client }) => client.close()));
  }

  async #builtIn(parsed: ImageReference, onMake: () => void): Promise<BaseImage> {
    const tag = BASE_IMAGES[parsed.repository];
    if (tag === undefined) {
      throw new HearthError('BaseImageNotFound', `${parsed.repository}: image not found`, {
        hint: `built in are ${builtInNames()}`,
      });
    }
    if (parsed.digest === undefined && parsed.tag !== tag && parsed.tag !== 'latest') {
      const name = `${parsed.repository}:${parsed.tag}`;
      throw new HearthError('BaseImageNotFound', `${name}: tag not found; available: ${tag}`);
    }
    const made = await this.#options.baseImages.ensure(parsed.repository, onMake);
    const digest = parsed.digest ?? made?.digest;
    return this.#open(this.#platform, { repository: parsed.repository, ...(digest && { digest }) });
  }

  /** A name without a host means Docker Hub everywhere else (distribution/reference). */
  async #fromHub(shown: string, parsed: ImageReference): Promise<BaseImage> {
    const isOfficial = !parsed.repository.includes('/');
    const repository = isOfficial ? `library/${parsed.repository}` : parsed.repository;
    try {
      return await this.#open(this.#remote(HUB), { ...parsed, repository });
    } catch (error) {
      if (!(error instanceof HearthError) || !error.code.startsWith('Registry')) throw error;
      throw new HearthError(
        'BaseImageNotFound',
        `${shown}: not in the platform's registry, and Docker Hub cannot be used: ${error.message}`,
        { hint: `without a public registry, build FROM ${builtInNames()}`, cause: error },
      );
    }
  }

  async #open(source: Source, reference: ImageReference): Promise<BaseImage> {
    const { repository } = reference;
    const wanted = reference.digest ?? reference.tag ?? 'latest';
    const { manifest, digest } = await source.registry.getManifest(repository, wanted);
    if (manifest.config.size > LIMITS.imageConfigBytesMax) {
      throw new HearthError('ImageCorrupt', `image config: ${manifest.config.size} bytes`);
    }
    const bytes = await buffer(await source.registry.getBlob(repository, manifest.config));
    const config = parseImageConfig(bytes, { manifest, architecture: imageArchitecture() });
    const ref: ImageRef = { repository, digest };
    const layers = manifest.layers.map(
      ({ mediaType, digest: packed, size }, index): Layer => ({
        mediaType,
        digest: packed,
        diffId: config.rootfs.diff_ids[index] ?? packed,
        sizeBytes: size,
      }),
    );
    const folders = async (): Promise<readonly string[]> => {
      const { image } = await source.store.ensure(ref);
      return image.layers;
    };
    const isHere = (): Promise<boolean> => source.store.has(ref);
    return { ref, registry: source.registry, config, layers, isHere, folders };
  }

  /** Plain HTTP only to this machine, as Docker does. */
  #remote(host: string): Source {
    const known = this.#clients.get(host);
    if (known !== undefined) return known.source;
    if (this.#clients.size >= CLIENTS_MAX) {
      const [oldest, entry] = this.#clients.entries().next().value ?? [];
      if (oldest !== undefined) this.#clients.delete(oldest);
      void entry?.client.close();
    }
    const isLocal = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$/.test(host);
    const client = createRegistryClient({
      baseUrl: `${isLocal ? 'http' : 'https'}://${host}`,
      owner: 'user',
      connectTimeoutMs: HUB_CONNECT_MS,
    });
    const source = this.#source(client);
    this.#clients.set(host, { client, source });
    return source;
  }

  #source(registry: Registry): Source {
    const { dir, log } = this.#options;
    return { registry, store: createImageStore({ dir, registry, log }) };
  }
}

function builtInNames(): string {
  return Object.entries(BASE_IMAGES)
    .map(([repository, tag]) => `${repository}:${tag}`)
    .join(' or ');
}
