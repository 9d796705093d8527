import { pipeline, type Readable, type Transform } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { errnoCode, HearthError } from '../errors.ts';
import { MEDIA_TYPES } from './types.ts';

const CHUNK_BYTES = 128 * 1024;

/**
 * The archive in a layer's packed bytes, by the layer's media type. Memory is bounded: a zstd
 * window above 128 MiB is refused by the decoder.
 * @throws HearthError ImageCorrupt for a media type that is not a layer's; the stream fails with
 * ImageCorrupt when the bytes are not what the type says
 */
export function openLayer(packed: Readable, mediaType: string): AsyncIterable<Buffer> {
  switch (mediaType) {
    case MEDIA_TYPES.layerTar:
      return packed as AsyncIterable<Buffer>;
    case MEDIA_TYPES.layerGzip:
    case MEDIA_TYPES.dockerLayerGzip:
      return decoded(packed, createGunzip({ chunkSize: CHUNK_BYTES }), 'gzip');
    case MEDIA_TYPES.layerZstd:
      return decoded(packed, createZstdDecompress({ chunkSize: CHUNK_BYTES }), 'zstd');
    default:
      packed.destroy();
      throw new HearthError('ImageCorrupt', `layer type "${mediaType.slice(0, 100)}" is not known`);
  }
}

async function* decoded(
  packed: Readable,
  decoder: Transform,
  format: string,
): AsyncGenerator<Buffer> {
  // An error of either is told by the iteration below.
  pipeline(packed, decoder, () => {});
  try {
    yield* decoder as AsyncIterable<Buffer>;
  } catch (error) {
    const code = errnoCode(error) ?? '';
    if (!/^(Z_|ZSTD_|ERR_ZLIB)/.test(code)) throw error;
    throw new HearthError(
      'ImageCorrupt',
      `${format} data is broken (${(error as Error).message})`,
      {
        cause: error,
      },
    );
  } finally {
    packed.destroy();
  }
}
