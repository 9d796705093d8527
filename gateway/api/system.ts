import type { FastifyInstance } from 'fastify';
import type { SystemAnswer } from '../../lib/management-api.ts';
import { VERSION } from '../../lib/version.ts';
import type { Mirror } from '../mirror.ts';

export interface SystemRouteParts {
  mirror: Mirror;
  gateway: string;
}

/** `GET /v1/system`: who is there. */
export function addSystemRoutes(app: FastifyInstance, parts: SystemRouteParts): void {
  const { mirror, gateway } = parts;
  app.get(
    '/v1/system',
    async (): Promise<SystemAnswer> => ({
      version: VERSION,
      gateway,
      nodes: [...mirror.all('node')],
      gateways: [...mirror.all('gateway')],
      counts: {
        functions: mirror.count('function'),
        revisions: mirror.count('revision'),
        instances: mirror.count('instance'),
        builds: mirror.count('build'),
      },
    }),
  );
}
