import { isDigest } from '../digest.ts';
import { LIMITS } from '../limits.ts';
import { type Descriptor, type ImageIndex, type ImageManifest, MEDIA_TYPES } from './types.ts';

/** A manifest's bytes, read and checked. */
export type ParsedManifest =
  | { kind: 'image'; mediaType: string; manifest: ImageManifest }
  | { kind: 'index'; mediaType: string; index: ImageIndex };

/** Thrown with the reason when bytes are not a manifest that can be used. */
export class ManifestError extends Error {
  override readonly name = 'ManifestError';
}

const KINDS: ReadonlyMap<string, 'image' | 'index'> = new Map([
  [MEDIA_TYPES.manifest, 'image'],
  [MEDIA_TYPES.dockerManifest, 'image'],
  [MEDIA_TYPES.index, 'index'],
  [MEDIA_TYPES.dockerIndex, 'index'],
]);

/** Media types that are asked for, in `Accept`. */
export const MANIFEST_ACCEPT: string = [...KINDS.keys()].join(', ');

/**
 * Reads an image manifest or an index (image spec v1.1; Docker's v2.2 has the same form). What one
 * reader takes for an index and another for an image is refused (GHSA-5j5w-g665-5m35).
 * @throws ManifestError
 */
export function parseManifest(bytes: Uint8Array, contentType: string): ParsedManifest {
  const value = parseObject(bytes);
  const sent = contentType.split(';', 1)[0]?.trim() ?? '';
  const mediaType = typeof value.mediaType === 'string' ? value.mediaType : sent;
  const kind = KINDS.get(mediaType);
  if (kind === undefined) {
    throw new ManifestError(`media type "${mediaType.slice(0, 100)}" is not a manifest's`);
  }
  if (KINDS.has(sent) && sent !== mediaType) {
    throw new ManifestError(`mediaType "${mediaType}" is not the content type "${sent}"`);
  }
  if (value.subject !== undefined) requireDescriptor(value.subject, 'subject');
  if (value.schemaVersion !== 2) throw new ManifestError('schemaVersion must be 2');
  return kind === 'index' ? asIndex(value, mediaType) : asImage(value, mediaType);
}

function parseObject(bytes: Uint8Array): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw new ManifestError('it is not JSON');
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw new ManifestError('it is not an object');
}

function asIndex(value: Record<string, unknown>, mediaType: string): ParsedManifest {
  if ('layers' in value || 'config' in value) {
    throw new ManifestError('it is both a manifest and an index');
  }
  for (const entry of list(value.manifests, 'manifests')) requireDescriptor(entry, 'manifests');
  return { kind: 'index', mediaType, index: value as unknown as ImageIndex };
}

function asImage(value: Record<string, unknown>, mediaType: string): ParsedManifest {
  if ('manifests' in value) throw new ManifestError('it is both a manifest and an index');
  requireDescriptor(value.config, 'config');
  const layers = list(value.layers, 'layers');
  for (const entry of layers) requireDescriptor(entry, 'layers');
  if (layers.length > LIMITS.layersMax) {
    throw new ManifestError(`it has ${layers.length} layers, limit ${LIMITS.layersMax}`);
  }
  return { kind: 'image', mediaType, manifest: value as unknown as ImageManifest };
}

function list(value: unknown, field: string): unknown[] {
  if (Array.isArray(value)) return value;
  throw new ManifestError(`${field} must be a list`);
}

function requireDescriptor(value: unknown, field: string): asserts value is Descriptor {
  const { digest, mediaType, size } = (value ?? {}) as Record<string, unknown>;
  const isSized = typeof size === 'number' && Number.isSafeInteger(size) && size >= 0;
  if (typeof digest === 'string' && isDigest(digest) && typeof mediaType === 'string' && isSized) {
    return;
  }
  throw new ManifestError(`${field} holds an invalid descriptor`);
}
