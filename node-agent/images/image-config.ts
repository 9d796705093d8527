import { isDigest } from '../../lib/digest.ts';
import { HearthError } from '../../lib/errors.ts';
import type { ImageConfig, ImageManifest } from '../../lib/oci/types.ts';

/**
 * Reads an image's configuration and checks it against the manifest.
 * @throws HearthError ImageCorrupt, PlatformMismatch
 */
export function parseImageConfig(
  bytes: Uint8Array,
  options: { manifest: ImageManifest; architecture: string },
): ImageConfig {
  const config = parseJson(bytes);
  const { layers } = options.manifest;
  const diffIds: unknown = config.rootfs?.diff_ids;
  if (!Array.isArray(diffIds) || !diffIds.every((id) => typeof id === 'string' && isDigest(id))) {
    throw new HearthError(
      'ImageCorrupt',
      'image config: rootfs.diff_ids must be a list of digests',
    );
  }
  if (diffIds.length !== layers.length) {
    throw new HearthError(
      'ImageCorrupt',
      `image config: ${diffIds.length} diffIds, but the manifest has ${layers.length} layers`,
    );
  }
  if (config.os !== 'linux' || config.architecture !== options.architecture) {
    throw new HearthError(
      'PlatformMismatch',
      `image is ${config.os}/${config.architecture}, node needs linux/${options.architecture}`,
    );
  }
  return config;
}

function parseJson(bytes: Uint8Array): ImageConfig {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    if (typeof value === 'object' && value !== null) return value as ImageConfig;
  } catch {
    // Said below: what is not JSON is no object either.
  }
  throw new HearthError('ImageCorrupt', 'image config: not a JSON object');
}
