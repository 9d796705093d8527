import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { packTar } from '../../lib/archive/tar.ts';
import { type Digest, sha256 } from '../../lib/digest.ts';
import { HearthError } from '../../lib/errors.ts';
import { imageArchitecture } from '../../lib/oci/platform.ts';
import type { Registry } from '../../lib/oci/registry.ts';
import { MEDIA_TYPES } from '../../lib/oci/types.ts';
import type { ImageRef } from '../../lib/records.ts';
import type { Log } from '../../lib/telemetry/log.ts';
import { DEFAULT_PATH } from '../dockerfile/stage-state.ts';
import { makeImage } from '../image/make-image.ts';
import { pushImage } from '../image/push-image.ts';
import type { Layer } from '../layers/layer.ts';
import type { FileSet } from './file-set.ts';
import { guestLayer } from './guest-layer.ts';
import { nodeLayer, npmLayer } from './node-layers.ts';
import { askPython, pipLayer, pythonLayer } from './python-layers.ts';
import { toolsLayer } from './tools-layer.ts';

/** Repository → the tag that this machine can make. */
export const BASE_IMAGES: Readonly<Record<string, string>> = {
  'hearth/node': '24',
  'hearth/python': '3',
};

export interface BaseImagesOptions {
  /** Folder that remembers what was made of what. */
  dir: string;
  registry: Registry;
  log: Log;
  /** Gives up what is being made: the next start makes it. */
  signal: AbortSignal;
}

interface Recipe {
  /** What the layer is, for the image's history; the most stable first. */
  layers: { name: string; files: FileSet }[];
  command: string[];
}

interface MadeLayer {
  name: string;
  layer: Layer;
  files: FileSet;
}

/**
 * The built-in base images, made of this machine's own runtimes without any download, and pushed to
 * the platform's registry when a build first asks for them or their files have changed.
 */
export class BaseImages {
  readonly #options: BaseImagesOptions;
  readonly #making = new Map<string, Promise<ImageRef>>();
  /** What this process has made: its runtimes do not change while it runs. */
  readonly #made = new Map<string, ImageRef>();

  constructor(options: BaseImagesOptions) {
    this.#options = options;
  }

  /**
   * The image with this repository; undefined: it is none of ours. `onMake` is called if it is not
   * yet known to be there.
   */
  async ensure(repository: string, onMake: () => void = () => {}): Promise<ImageRef | undefined> {
    if (!Object.hasOwn(BASE_IMAGES, repository)) return undefined;
    const made = this.#made.get(repository);
    if (made !== undefined && (await isPushed(this.#options.registry, repository, made.digest))) {
      return made;
    }
    onMake();
    const running = this.#making.get(repository);
    if (running !== undefined) return running;
    const making = this.#ensure(repository).finally(() => this.#making.delete(repository));
    this.#making.set(repository, making);
    return making;
  }

  async #ensure(repository: string): Promise<ImageRef> {
    const startedMs = performance.now();
    const recipe = await (repository === 'hearth/node' ? nodeRecipe() : pythonRecipe());
    const layers: MadeLayer[] = [];
    for (const { name, files } of recipe.layers) {
      layers.push({ name, files, layer: await this.#stored(repository, files) });
    }
    const image = makeImage({
      architecture: imageArchitecture(),
      config: { Env: [`PATH=${DEFAULT_PATH}`], Cmd: recipe.command, WorkingDir: '/app' },
      layers: layers.map(({ layer }) => layer),
      history: layers.map(({ name }) => ({ createdBy: `${name} # hearth base image` })),
    });
    const { registry, log, signal } = this.#options;
    const digest = sha256(image.manifestBytes);
    this.#made.set(repository, { repository, digest });
    if (await isPushed(registry, repository, digest)) return { repository, digest };
    await pushImage(registry, {
      repository,
      tag: BASE_IMAGES[repository] ?? 'latest',
      image,
      open: async (wanted) => openLayer(layers, wanted),
      signal,
    });
    const durationMs = Math.round(performance.now() - startedMs);
    log.info({ repository, digest, layers: layers.length, durationMs }, 'base image made');
    return { repository, digest };
  }

  /** The set as a layer; read only when a file of it has changed, and pushed on the way then. */
  async #stored(repository: string, files: FileSet): Promise<Layer> {
    const { dir, registry, signal } = this.#options;
    const path = join(dir, `${files.identity().slice('sha256:'.length)}.json`);
    const known = await readFile(path, 'utf8').catch(() => undefined);
    if (known !== undefined) return JSON.parse(known) as Layer;
    signal.throwIfAborted();
    const archive = packTar(files.entries());
    const stop = (): void => void archive.destroy(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    const { digest, sizeBytes } = await registry.putStream(repository, archive).finally(() => {
      signal.removeEventListener('abort', stop);
    });
    const layer: Layer = { mediaType: MEDIA_TYPES.layerTar, digest, diffId: digest, sizeBytes };
    await mkdir(dir, { recursive: true, mode: 0o700 });
    await writeFile(`${path}.tmp`, JSON.stringify(layer));
    await rename(`${path}.tmp`, path);
    return layer;
  }
}

async function isPushed(registry: Registry, repository: string, digest: Digest): Promise<boolean> {
  try {
    await registry.getManifest(repository, digest);
    return true;
  } catch (error) {
    const absent = error instanceof HearthError && error.code === 'BaseImageNotFound';
    if (absent) return false;
    throw error;
  }
}

function openLayer(layers: readonly MadeLayer[], digest: Digest): Readable {
  const found = layers.find(({ layer }) => layer.digest === digest);
  if (found === undefined) throw new HearthError('Internal', `no layer ${digest}`);
  return packTar(found.files.entries());
}

async function nodeRecipe(): Promise<Recipe> {
  if (process.version.split('.')[0] !== 'v24') {
    throw new HearthError(
      'BaseImageNotFound',
      `hearth/node:24 is made of the builder's own Node, which is ${process.version}`,
      { hint: 'run the builder with Node 24' },
    );
  }
  const tools = await toolsLayer();
  const npm = npmLayer();
  return {
    layers: [
      { name: 'C library and tools', files: tools },
      { name: `node ${process.version}`, files: await nodeLayer(tools) },
      ...(npm === undefined ? [] : [{ name: 'npm', files: npm }]),
      { name: 'guest runner', files: guestLayer('node') },
    ],
    command: ['node'],
  };
}

async function pythonRecipe(): Promise<Recipe> {
  const facts = await askPython();
  const tools = await toolsLayer();
  const pip = pipLayer(facts);
  return {
    layers: [
      { name: 'C library and tools', files: tools },
      { name: `python ${facts.version}`, files: await pythonLayer(facts, tools) },
      ...(pip === undefined ? [] : [{ name: 'pip', files: pip }]),
      { name: 'guest runner', files: guestLayer('python') },
    ],
    command: ['python3'],
  };
}
