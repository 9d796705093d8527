import type { FastifyInstance } from 'fastify';
import { HearthError } from '../../lib/errors.ts';
import { parseCreateNetwork, parseCreateVolume } from '../api/parse-named.ts';
import type { Engine } from '../engine/engine-types.ts';

interface NameParams {
  Params: { name: string };
}

/** Volumes and networks of this node, which outlive the containers that use them. */
export function addNamedRoutes(
  app: FastifyInstance,
  { volumes, networks }: Pick<Engine, 'volumes' | 'networks'>,
): void {
  app.get('/v1/volumes', async () => ({ volumes: volumes.list() }));
  app.post('/v1/volumes', async (request, reply) =>
    reply.code(201).send(volumes.create(parseCreateVolume(request.body))),
  );
  app.get<NameParams>('/v1/volumes/:name', async ({ params }) =>
    present(volumes.get(params.name), 'volume', params.name),
  );
  app.delete<NameParams>('/v1/volumes/:name', async ({ params }, reply) => {
    const { name } = present(volumes.get(params.name), 'volume', params.name);
    await volumes.remove(name);
    return reply.code(204).send();
  });
  app.get('/v1/networks', async () => ({ networks: networks.list() }));
  app.post('/v1/networks', async (request, reply) =>
    reply.code(201).send(await networks.create(parseCreateNetwork(request.body))),
  );
  app.get<NameParams>('/v1/networks/:name', async ({ params }) =>
    present(networks.get(params.name), 'network', params.name),
  );
  app.delete<NameParams>('/v1/networks/:name', async ({ params }, reply) => {
    const { name } = present(networks.get(params.name), 'network', params.name);
    await networks.remove(name);
    return reply.code(204).send();
  });
}

function present<T>(found: T | undefined, kind: 'volume' | 'network', name: string): T {
  if (found !== undefined) return found;
  throw new HearthError(
    'NotFound',
    `no ${kind} ${JSON.stringify(name.slice(0, 80))} on this node`,
    {
      hint: `hearth ${kind} ls shows them`,
    },
  );
}
