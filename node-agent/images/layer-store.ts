import { mkdir, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Digest } from '../../lib/digest.ts';
import { errnoCode, HearthError } from '../../lib/errors.ts';
import { LIMITS } from '../../lib/limits.ts';
import { openLayer } from '../../lib/oci/read-layer.ts';
import type { Registry } from '../../lib/oci/registry.ts';
import type { Descriptor } from '../../lib/oci/types.ts';
import { removeTree } from '../../lib/remove-tree.ts';
import { SingleFlight } from './single-flight.ts';
import { TempFolders } from './temp-folders.ts';
import { unpackLayer } from './unpack.ts';

export interface LayerRequest {
  repository: string;
  descriptor: Descriptor;
  diffId: Digest;
  /** `3/7`, for errors. */
  position: string;
}

/**
 * Unpacked layers, one folder a diffId, complete or not there: a layer is unpacked beside and
 * renamed. Processes that share the folder may do the same work twice, with the same result.
 */
export class LayerStore {
  readonly #dir: string;
  readonly #registry: Registry;
  readonly #temp: TempFolders;
  readonly #flights = new SingleFlight<boolean>();

  constructor(dir: string, registry: Registry) {
    this.#dir = join(dir, 'layers');
    this.#registry = registry;
    this.#temp = new TempFolders(join(dir, 'tmp'));
  }

  async init(): Promise<void> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
    await this.#temp.init();
  }

  /** Absolute folder of a layer. */
  path(diffId: Digest): string {
    return join(this.#dir, diffId.slice('sha256:'.length));
  }

  async has(diffId: Digest): Promise<boolean> {
    try {
      return (await stat(this.path(diffId))).isDirectory();
    } catch (error) {
      if (errnoCode(error) === 'ENOENT') return false;
      throw error;
    }
  }

  /**
   * Makes a layer be there; true: it was fetched.
   * @throws HearthError ImageCorrupt, StorageFull and those of `Registry.getBlob`
   */
  ensure(request: LayerRequest): Promise<boolean> {
    return this.#flights.run(request.diffId, async () => {
      if (await this.has(request.diffId)) return false;
      try {
        await this.#fetch(request);
      } catch (error) {
        throw withPosition(error, request.position);
      }
      return true;
    });
  }

  async #fetch(request: LayerRequest): Promise<void> {
    const { descriptor, diffId } = request;
    if (descriptor.size > LIMITS.layerBytesMax) {
      throw corrupt(
        `${descriptor.digest}: ${descriptor.size} bytes, limit ${LIMITS.layerBytesMax}`,
      );
    }
    const dir = this.#temp.next();
    const packed = await this.#registry.getBlob(request.repository, descriptor);
    try {
      const unpacked = await unpackLayer({
        stream: openLayer(packed, descriptor.mediaType),
        dir,
        limits: { bytesMax: unpackedBytesMax(descriptor.size) },
      });
      if (unpacked.digest !== diffId) {
        throw corrupt(`${descriptor.digest}: unpacks to ${unpacked.digest}, expected ${diffId}`);
      }
      await this.#publish(dir, diffId);
    } finally {
      packed.destroy();
      await removeTree(dir);
    }
  }

  async #publish(dir: string, diffId: Digest): Promise<void> {
    try {
      await rename(dir, this.path(diffId));
    } catch (error) {
      // Another process was first.
      if (!['ENOTEMPTY', 'EEXIST'].includes(errnoCode(error) ?? '')) throw error;
    }
  }
}

/** Bytes that a layer may unpack to: small ones freely, others by their ratio. */
export function unpackedBytesMax(packedBytes: number): number {
  const byRatio = packedBytes * LIMITS.expansionRatioMax;
  return Math.min(LIMITS.imageUnpackedBytesMax, Math.max(LIMITS.expansionFreeBytes, byRatio));
}

function corrupt(message: string): HearthError {
  return new HearthError('ImageCorrupt', message);
}

function withPosition(error: unknown, position: string): unknown {
  if (!(error instanceof HearthError) || error.code !== 'ImageCorrupt') return error;
  return new HearthError('ImageCorrupt', `layer ${position} ${error.message}`, {
    ...(error.details === undefined ? {} : { details: error.details }),
    cause: error.cause,
  });
}
