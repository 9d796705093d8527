import type { FastifyReply, FastifyRequest } from 'fastify';
import type { BlobStore } from './blob-store.ts';
import type { Repositories } from './repositories.ts';
import type { Uploads } from './uploads.ts';

/** What the handlers of the registry share. */
export interface RegistryContext {
  blobs: BlobStore;
  repositories: Repositories;
  uploads: Uploads;
  manifestBytesMax: number;
}

/** One request with its query; handlers answer through `reply`. */
export interface Call {
  request: FastifyRequest;
  reply: FastifyReply;
  query: Readonly<Record<string, string | undefined>>;
}
