import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { HearthError } from '../../lib/errors.ts';
import { LIMITS } from '../../lib/limits.ts';
import type { UploadAnswer } from '../../lib/management-api.ts';
import type { Registry } from '../../lib/oci/registry.ts';
import { formatBytes } from '../../lib/units.ts';

/** Where build contexts are kept in the platform's registry. */
export const CONTEXTS = 'hearth/contexts';

const TYPES = ['application/x-tar', 'application/octet-stream'];

/** `POST /v1/uploads`: a build context as a tar, streamed into the registry. */
export function addUploadRoutes(app: FastifyInstance, registry: Registry): void {
  void app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser(TYPES, (_request, payload, done) => done(null, payload));
    const bodyLimit = LIMITS.contextBytesMax;
    scope.post('/v1/uploads', { bodyLimit }, async (request, reply): Promise<UploadAnswer> => {
      requireFits(request.raw);
      if (!(request.body instanceof Readable)) {
        throw new HearthError('BadRequest', 'the upload has no body');
      }
      const stored = await registry.putStream(CONTEXTS, request.body, {
        bytesMax: LIMITS.contextBytesMax,
      });
      void reply.code(201);
      return { digest: stored.digest, sizeBytes: stored.sizeBytes };
    });
  });
}

function requireFits(request: IncomingMessage): void {
  const length = Number(request.headers['content-length'] ?? 0);
  if (length <= LIMITS.contextBytesMax) return;
  throw new HearthError(
    'ContextTooLarge',
    `build context has ${formatBytes(length)}, the limit is ${formatBytes(LIMITS.contextBytesMax)}`,
    { hint: 'list what is not needed in .dockerignore' },
  );
}
