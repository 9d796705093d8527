import { type Digest, sha256 } from '../../lib/digest.ts';
import {
  type Descriptor,
  type ImageConfig,
  type ImageManifest,
  MEDIA_TYPES,
} from '../../lib/oci/types.ts';
import type { Layer } from '../layers/layer.ts';

/** An image as bytes, ready to push. */
export interface MadeImage {
  manifest: ImageManifest;
  manifestBytes: Buffer;
  configBytes: Buffer;
  layers: Layer[];
}

export interface ImageParts {
  /** As images name it: `amd64`. */
  architecture: string;
  config: NonNullable<ImageConfig['config']>;
  /** Lowest first. */
  layers: readonly Layer[];
  /** In order; as many without `isEmpty` as there are layers. */
  history: readonly { createdBy: string; isEmpty?: boolean }[];
  /** Time in the configuration; default 1970, so that equal images have equal digests. */
  createdMs?: number;
}

/** Configuration and manifest of an image (OCI image spec v1.1). The same parts give the same bytes. */
export function makeImage(parts: ImageParts): MadeImage {
  const created = new Date(parts.createdMs ?? 0).toISOString();
  const config: ImageConfig = {
    architecture: parts.architecture,
    os: 'linux',
    created,
    config: parts.config,
    rootfs: { type: 'layers', diff_ids: parts.layers.map(({ diffId }) => diffId) },
    history: parts.history.map(({ createdBy, isEmpty = false }) => ({
      created,
      created_by: createdBy,
      ...(isEmpty ? { empty_layer: true } : {}),
    })),
  };
  const configBytes = Buffer.from(JSON.stringify(config));
  const manifest: ImageManifest = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.manifest,
    config: descriptor(MEDIA_TYPES.config, sha256(configBytes), configBytes.length),
    layers: parts.layers.map((l) => descriptor(l.mediaType, l.digest, l.sizeBytes)),
  };
  const manifestBytes = Buffer.from(JSON.stringify(manifest));
  return { manifest, manifestBytes, configBytes, layers: [...parts.layers] };
}

function descriptor(mediaType: string, digest: Digest, size: number): Descriptor {
  return { mediaType, digest, size };
}
