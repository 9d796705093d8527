import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import type { Digest } from '../../lib/digest.ts';
import { errnoCode, HearthError } from '../../lib/errors.ts';
import { newCallId } from '../../lib/ids.ts';
import { LIMITS } from '../../lib/limits.ts';
import { imageArchitecture } from '../../lib/oci/platform.ts';
import type { Registry } from '../../lib/oci/registry.ts';
import type { ImageConfig } from '../../lib/oci/types.ts';
import type { ImageRef } from '../../lib/records.ts';
import type { Log } from '../../lib/telemetry/log.ts';
import { mapBounded } from './bounded.ts';
import { parseImageConfig } from './image-config.ts';
import type { ImageStore, LocalImage } from './image-store-types.ts';
import { LayerStore } from './layer-store.ts';
import { isOpaqueRoot } from './opaque-root.ts';
import { SingleFlight } from './single-flight.ts';

export interface ImageStoreOptions {
  /** Absolute folder; several processes may share it. */
  dir: string;
  registry: Registry;
  log: Log;
  /** As images name it; default this machine's. */
  architecture?: string;
}

interface KnownImage {
  config: ImageConfig;
  layers: string[];
}

const KNOWN_MAX = 512;

/** Where the processes of one machine, agents and builder, keep images together. */
export function imagesFolder(dataRoot: string): string {
  return join(dataRoot, 'images');
}

/** Opens the images of this node; removes half-done work of processes that are gone. */
export function createImageStore(options: ImageStoreOptions): ImageStore {
  return new DiskImageStore(options);
}

class DiskImageStore implements ImageStore {
  readonly #options: ImageStoreOptions;
  readonly #layers: LayerStore;
  readonly #known = new Map<Digest, KnownImage>();
  readonly #flights = new SingleFlight<{ known: KnownImage; pulled: boolean }>();

  readonly #opened: Promise<void>;

  constructor(options: ImageStoreOptions) {
    this.#options = options;
    this.#layers = new LayerStore(options.dir, options.registry);
    this.#opened = this.#open();
    // Whoever asks for an image is told.
    this.#opened.catch(() => {});
  }

  async ensure(ref: ImageRef): Promise<{ image: LocalImage; pulled: boolean; pullMs: number }> {
    const startedMs = performance.now();
    const found = this.#known.get(ref.digest);
    const { known, pulled } =
      found === undefined
        ? await this.#flights.run(ref.digest, () => this.#load(ref))
        : { known: found, pulled: false };
    const image = { ref, config: known.config, layers: known.layers };
    return { image, pulled, pullMs: pulled ? performance.now() - startedMs : 0 };
  }

  async has(ref: ImageRef): Promise<boolean> {
    if (this.#known.has(ref.digest)) return true;
    await this.#opened;
    const config = await this.#readConfig(ref.digest);
    return config !== undefined && (await this.#stack(config)) !== undefined;
  }

  async #open(): Promise<void> {
    await this.#layers.init();
    await mkdir(join(this.#options.dir, 'images'), { recursive: true, mode: 0o700 });
  }

  async #load(ref: ImageRef): Promise<{ known: KnownImage; pulled: boolean }> {
    await this.#opened;
    const config = await this.#readConfig(ref.digest);
    const stored = config === undefined ? undefined : await this.#stack(config);
    const pulled = stored === undefined;
    const known = stored ?? (await this.#pull(ref));
    if (this.#known.size >= KNOWN_MAX) this.#known.clear();
    this.#known.set(ref.digest, known);
    return { known, pulled };
  }

  async #pull(ref: ImageRef): Promise<KnownImage> {
    const { registry, log } = this.#options;
    const startedMs = performance.now();
    const { manifest } = await registry.getManifest(ref.repository, ref.digest);
    if (manifest.config.size > LIMITS.imageConfigBytesMax) {
      throw new HearthError(
        'ImageCorrupt',
        `image config: ${manifest.config.size} bytes, limit ${LIMITS.imageConfigBytesMax}`,
      );
    }
    const bytes = await buffer(await registry.getBlob(ref.repository, manifest.config));
    const architecture = this.#options.architecture ?? imageArchitecture();
    const config = parseImageConfig(bytes, { manifest, architecture });
    const fetched = await mapBounded(
      manifest.layers,
      { atOnceMax: LIMITS.layersAtOnceMax },
      (descriptor, n) =>
        this.#layers.ensure({
          repository: ref.repository,
          descriptor,
          diffId: config.rootfs.diff_ids[n] as Digest,
          position: `${n + 1}/${manifest.layers.length}`,
        }),
    );
    await this.#writeConfig(ref.digest, bytes);
    const known = await this.#stack(config);
    if (known === undefined) throw new HearthError('Internal', 'a layer vanished after its pull');
    const layers = fetched.length;
    const newLayers = fetched.filter(Boolean).length;
    const durationMs = Math.round(performance.now() - startedMs);
    log.info({ image: ref.digest, layers, newLayers, durationMs }, 'image pulled');
    return known;
  }

  /** Undefined: a layer is not there. */
  async #stack(config: ImageConfig): Promise<KnownImage | undefined> {
    const diffIds = config.rootfs.diff_ids;
    for (const diffId of diffIds) if (!(await this.#layers.has(diffId))) return undefined;
    const paths = diffIds.map((diffId) => this.#layers.path(diffId));
    // The kernel refuses a folder twice in one stack; the upper one decides.
    const all = paths.filter((path, n) => paths.lastIndexOf(path) === n);
    // overlayfs does not look at the mark on a layer's root: what it hides is left out.
    const lowest = all.findLastIndex((path) => isOpaqueRoot(path));
    return { config, layers: all.slice(Math.max(0, lowest)) };
  }

  async #readConfig(digest: Digest): Promise<ImageConfig | undefined> {
    try {
      return JSON.parse(await readFile(this.#configPath(digest), 'utf8')) as ImageConfig;
    } catch (error) {
      // Broken by a crash is the same as not there: it is pulled again.
      if (errnoCode(error) === 'ENOENT' || error instanceof SyntaxError) return undefined;
      throw error;
    }
  }

  async #writeConfig(digest: Digest, bytes: Buffer): Promise<void> {
    const path = this.#configPath(digest);
    const temp = `${path}.${newCallId()}`;
    try {
      await writeFile(temp, bytes, { mode: 0o600 });
      await rename(temp, path);
    } finally {
      await rm(temp, { force: true });
    }
  }

  #configPath(digest: Digest): string {
    return join(this.#options.dir, 'images', `${digest.slice('sha256:'.length)}.json`);
  }
}
