import { text } from 'node:stream/consumers';
import { type Digest, sha256 } from '../../lib/digest.ts';
import { HearthError } from '../../lib/errors.ts';
import type { Registry } from '../../lib/oci/registry.ts';

/** The part of a registry that the gateway uses, in memory. */
export function fakeRegistry(): Registry {
  const blobs = new Set<string>();
  const refuse = async (): Promise<never> => {
    throw new HearthError('BaseImageNotFound', 'the gateway reads no images');
  };
  return {
    hasBlob: async (repository, digest) => blobs.has(`${repository}@${digest}`),
    putStream: async (repository, stream) => {
      const content = await text(stream);
      const digest: Digest = sha256(content);
      blobs.add(`${repository}@${digest}`);
      return { digest, sizeBytes: content.length };
    },
    getManifest: refuse,
    putManifest: refuse,
    getBlob: refuse,
    putBlob: refuse,
    listTags: refuse,
    deleteManifest: refuse,
    ping: async () => undefined,
  };
}
