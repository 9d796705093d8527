import type { FastifyInstance, FastifyRequest } from 'fastify';
import { createApiServer } from '../lib/http/server.ts';
import type { NodeRecord } from '../lib/records.ts';
import type { Log } from '../lib/telemetry/log.ts';
import type { Metrics } from '../lib/telemetry/metrics.ts';
import {
  parseDrainRequest,
  parsePrepareRequest,
  parseReleasedRequest,
  parseStartRequest,
} from './api/parse-requests.ts';
import type { InstanceStatus, PrepareImageAnswer } from './api/types.ts';
import type { Containers } from './containers/containers.ts';
import type { Directory } from './containers/directory.ts';
import type { Engine } from './engine/engine-types.ts';
import type { EventLog } from './events/event-log.ts';
import type { NotableEvents } from './events/notable-events.ts';
import type { ImageStore } from './images/image-store-types.ts';
import type { Instances } from './instances/instances.ts';
import type { Logs } from './logs/logs.ts';
import { addArchiveRoutes } from './routes/archive-routes.ts';
import { addContainerRoutes } from './routes/container-routes.ts';
import { addEventRoutes } from './routes/event-routes.ts';
import { addExecRoutes, type Execs } from './routes/exec-routes.ts';
import { addLogRoutes } from './routes/log-routes.ts';
import { addNamedRoutes } from './routes/named-routes.ts';
import { addStatsRoutes } from './routes/stats-routes.ts';

export interface AgentServerOptions {
  instances: Instances;
  containers: Containers;
  directory: Directory;
  engine: Engine;
  execs: Execs;
  images: ImageStore;
  events: EventLog;
  notable: NotableEvents;
  logs: Logs;
  log: Log;
  metrics: Metrics;
  /** The cluster's token. */
  token: string;
  node(): NodeRecord;
}

interface IdParams {
  id: string;
}

/** The agent's API: instances, containers, images, logs. */
export function createAgentServer(options: AgentServerOptions): FastifyInstance {
  const { log, metrics, token } = options;
  const app = createApiServer({ log, metrics, token });
  addInstanceRoutes(app, options);
  app.get('/v1/node', async () => options.node());
  app.post('/v1/images/prepare', async (request) => prepare(options.images, request.body));
  addContainerRoutes(app, options);
  addLogRoutes(app, options);
  addStatsRoutes(app, options.directory);
  addEventRoutes(app, options);
  addArchiveRoutes(app, options.directory);
  addNamedRoutes(app, options.engine);
  addExecRoutes(app, options);
  return app;
}

function addInstanceRoutes(
  app: FastifyInstance,
  { instances, notable }: Pick<AgentServerOptions, 'instances' | 'notable'>,
): void {
  app.get('/v1/instances', async () => ({ instances: instances.list() }));
  app.post('/v1/instances', async (request, reply) => {
    const record = await instances.start(parseStartRequest(request.body));
    return reply.code(201).send(record);
  });
  app.get('/v1/instances/:id', async (request): Promise<InstanceStatus> => {
    const status = instances.status(idOf(request));
    const events = notable.of(status.record.functionName);
    return events.length === 0 ? status : { ...status, events: [...events] };
  });
  app.delete('/v1/instances/:id', async (request, reply) => {
    await instances.kill(idOf(request));
    return reply.code(204).send();
  });
  app.post('/v1/instances/:id/drain', async (request, reply) => {
    instances.drain(idOf(request), parseDrainRequest(request.body ?? {}));
    return reply.code(202).send({});
  });
  app.post('/v1/instances/:id/released', async (request, reply) => {
    instances.released(idOf(request), parseReleasedRequest(request.body).gateway);
    return reply.code(204).send();
  });
}

function idOf(request: FastifyRequest): string {
  return (request.params as IdParams).id;
}

async function prepare(images: ImageStore, body: unknown): Promise<PrepareImageAnswer> {
  const { pulled, pullMs } = await images.ensure(parsePrepareRequest(body).image);
  return { pulled, pullMs };
}
