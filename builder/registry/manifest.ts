import type { Digest } from '../../lib/digest.ts';
import { ManifestError, parseManifest } from '../../lib/oci/manifest.ts';
import type { Descriptor } from '../../lib/oci/types.ts';
import { RegistryProblem } from './problem.ts';

/** What the registry needs to know of a manifest; the bytes are stored as they came. */
export interface ManifestFacts {
  mediaType: string;
  /** Blobs that must be in the repository before. */
  blobs: Digest[];
  /** The manifest that this one is about. */
  subject?: Digest;
  /** Its own annotations, where it has a subject. */
  subjectAnnotations?: Record<string, string>;
  artifactType?: string;
}

/** Layers that may live elsewhere: image spec v1.1, "Non-distributable Layers". */
const FOREIGN = /nondistributable|foreign/;

/**
 * Reads a pushed manifest or index.
 * @throws RegistryProblem MANIFEST_INVALID with what is wrong
 */
export function readManifest(bytes: Uint8Array, contentType: string): ManifestFacts {
  try {
    const parsed = parseManifest(bytes, contentType);
    const { mediaType } = parsed;
    // An index may name manifests that are not here: sparse indexes are allowed.
    if (parsed.kind === 'index') return { mediaType, blobs: [], ...artifactOf(parsed.index) };
    const { config, layers } = parsed.manifest;
    const here = layers.filter((layer) => !FOREIGN.test(layer.mediaType));
    const blobs = [config, ...here].map(({ digest }) => digest);
    return { mediaType, blobs, ...artifactOf(parsed.manifest, config) };
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error;
    throw new RegistryProblem('MANIFEST_INVALID', `manifest invalid: ${error.message}`);
  }
}

/** Spec v1.1, "Listing Referrers": an image without artifactType has its config's media type. */
function artifactOf(
  manifest: object,
  config?: Descriptor,
): Pick<ManifestFacts, 'subject' | 'subjectAnnotations' | 'artifactType'> {
  const { subject, artifactType, annotations } = manifest as {
    subject?: Descriptor;
    artifactType?: unknown;
    annotations?: Record<string, string>;
  };
  const type = artifactType ?? config?.mediaType;
  const named = typeof type === 'string' && type !== '' ? { artifactType: type } : {};
  if (subject === undefined) return named;
  return {
    ...named,
    subject: subject.digest,
    ...(annotations === undefined ? {} : { subjectAnnotations: annotations }),
  };
}
