import { Readable } from 'node:stream';
import type { Digest } from '../../lib/digest.ts';
import type { Registry } from '../../lib/oci/registry.ts';
import type { MadeImage } from './make-image.ts';

export interface PushOptions {
  repository: string;
  tag: string;
  image: MadeImage;
  /** The bytes of a layer; called only for those that the registry lacks. */
  open(digest: Digest): Promise<Readable>;
  signal: AbortSignal;
}

/** Pushes layers, configuration and, when all of them are there, the manifest. Its digest. */
export async function pushImage(registry: Registry, options: PushOptions): Promise<Digest> {
  const { repository, tag, image, open, signal } = options;
  const { configBytes, manifest } = image;
  for (const { digest, sizeBytes } of image.layers) {
    signal.throwIfAborted();
    const bytes = (): Readable =>
      Readable.from(
        late(() => open(digest)),
        { objectMode: false },
      );
    await registry.putBlob(repository, { digest, size: sizeBytes, open: bytes });
  }
  signal.throwIfAborted();
  await registry.putBlob(repository, {
    digest: manifest.config.digest,
    size: configBytes.length,
    open: () => Readable.from([configBytes], { objectMode: false }),
  });
  return registry.putManifest(repository, tag, manifest);
}

async function* late(open: () => Promise<Readable>): AsyncGenerator<Buffer> {
  yield* (await open()) as AsyncIterable<Buffer>;
}
