import type { FastifyInstance } from 'fastify';
import { HearthError } from '../../lib/errors.ts';
import { LIMITS } from '../../lib/limits.ts';
import { parseExecHeader, parseResize } from '../api/parse-exec.ts';
import { queryOf } from '../api/queries.ts';
import type { Directory } from '../containers/directory.ts';
import { execSpecOf } from '../containers/exec-spec.ts';
import { ExecSession } from './exec-session.ts';

/** Programs that run for callers of this server, by id. */
export type Execs = Map<string, ExecSession>;

export interface ExecRouteParts {
  directory: Directory;
  /** Those that run are kept in here. */
  execs: Execs;
}

interface IdParams {
  Params: { id: string };
}

/**
 * `POST /v1/containers/:id/exec` and `POST /v1/execs/:id/resize`. Until the program is executed an
 * error is an answer like any other; from then on the answer is its output.
 */
export function addExecRoutes(app: FastifyInstance, { directory, execs }: ExecRouteParts): void {
  app.addHook('preClose', async () => {
    for (const session of execs.values()) session.hangUp();
  });
  void app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', (_request, _payload, done) => done(null));
    scope.post<IdParams>('/v1/containers/:id/exec', async (request, reply) => {
      queryOf(request.query, []);
      const asked = parseExecHeader(request.headers['hearth-exec']);
      const container = directory.running(request.params.id, 'execute a program in');
      if (execs.size >= LIMITS.containerWatchersMax) {
        throw new HearthError('QueueFull', `${execs.size} programs are executed already`);
      }
      const exec = await container.exec(await execSpecOf(asked, container));
      const session = new ExecSession(exec, request.raw, reply.raw);
      execs.set(exec.id, session);
      void exec.exited.then(() => execs.delete(exec.id));
      reply.hijack();
      await session.run();
    });
  });
  app.post<IdParams>('/v1/execs/:id/resize', async (request, reply) => {
    const size = parseResize(request.body);
    const session = execs.get(request.params.id);
    if (session === undefined) {
      const shown = JSON.stringify(request.params.id.slice(0, 80));
      throw new HearthError('NotFound', `no program ${shown} is executed on this node`);
    }
    session.exec.resize(size.rows, size.columns);
    return reply.code(204).send();
  });
}
