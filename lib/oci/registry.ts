import type { Readable } from 'node:stream';
import type { Digest } from '../digest.ts';
import type { Descriptor, ImageManifest } from './types.ts';

/**
 * One registry, by the OCI distribution protocol (v1.1). Implemented by `registry-client.ts`.
 * Errors: BlobNotFound, BaseImageNotFound, RegistryAuth, RegistryRateLimited, RegistryTls,
 * RegistryUnavailable, ImageCorrupt (digest or size is not what the descriptor says).
 */
export interface Registry {
  /** Manifest by tag or digest; an index is resolved to this machine's platform. */
  getManifest(
    repository: string,
    reference: string,
  ): Promise<{ manifest: ImageManifest; digest: Digest; bytes: Buffer }>;
  putManifest(repository: string, reference: string, manifest: ImageManifest): Promise<Digest>;
  hasBlob(repository: string, digest: Digest): Promise<boolean>;
  /**
   * The blob's bytes, verified while they stream: the stream errors at the end if they are wrong.
   * A size that is not known is taken from the registry's answer.
   */
  getBlob(
    repository: string,
    descriptor: Pick<Descriptor, 'digest'> & { size?: number },
  ): Promise<Readable>;
  /** Uploads bytes whose digest is known. Nothing is sent when the blob is there. */
  putBlob(
    repository: string,
    blob: { digest: Digest; size: number; open(): Readable },
  ): Promise<void>;
  /** Uploads a stream of unknown digest and length, hashing on the way; cancels on error. */
  putStream(
    repository: string,
    stream: Readable,
    options?: { bytesMax?: number },
  ): Promise<{ digest: Digest; sizeBytes: number }>;
  listTags(repository: string): Promise<string[]>;
  deleteManifest(repository: string, digest: Digest): Promise<void>;
  ping(): Promise<void>;
}
