import type { FastifyInstance, FastifyReply } from 'fastify';
import type { PathStat } from '../../lib/container-api.ts';
import { flagIn, pathIn, queryOf } from '../api/queries.ts';
import type { Directory } from '../containers/directory.ts';

interface IdParams {
  Params: { id: string };
}

/** `HEAD`, `GET` and `PUT /v1/containers/:id/archive?path=`: files out of a container and into it. */
export function addArchiveRoutes(app: FastifyInstance, directory: Directory): void {
  const url = '/v1/containers/:id/archive';
  app.head<IdParams>(url, async (request, reply) => {
    const path = pathIn(queryOf(request.query, ['path']).path);
    const stat = await directory.running(request.params.id, 'look into').stat(path);
    return withStat(reply, stat).send();
  });
  app.get<IdParams>(url, { exposeHeadRoute: false }, async (request, reply) => {
    const path = pathIn(queryOf(request.query, ['path']).path);
    const container = directory.running(request.params.id, 'copy out of');
    const { stat, tar } = await container.copyOut(path);
    return withStat(reply, stat).type('application/x-tar').send(tar);
  });
  void app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', (_request, _payload, done) => done(null));
    scope.put<IdParams>(url, async (request, reply) => {
      const query = queryOf(request.query, ['path', 'keepIds']);
      const keepIds = flagIn(query.keepIds, 'keepIds');
      const container = directory.running(request.params.id, 'copy into');
      const path = pathIn(query.path);
      try {
        await container.copyIn(path, request.raw, { keepIds });
      } catch (error) {
        // What is left of the archive nobody reads: no request can follow it on this connection
        void reply.header('connection', 'close');
        throw error;
      }
      return reply.code(204).send();
    });
  });
}

function withStat(reply: FastifyReply, stat: PathStat): FastifyReply {
  const text = Buffer.from(JSON.stringify(stat)).toString('base64url');
  return reply.header('hearth-path-stat', text).header('cache-control', 'no-store');
}
