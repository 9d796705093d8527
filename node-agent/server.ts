import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { HearthError } from '../lib/errors.ts';
import { createApiServer } from '../lib/http/server.ts';
import { LIMITS } from '../lib/limits.ts';
import type { NodeRecord } from '../lib/records.ts';
import type { Log } from '../lib/telemetry/log.ts';
import type { Metrics } from '../lib/telemetry/metrics.ts';
import {
  parseDrainRequest,
  parsePrepareRequest,
  parseReleasedRequest,
  parseStartRequest,
} from './api/parse-requests.ts';
import type { PrepareImageAnswer } from './api/types.ts';
import type { ImageStore } from './images/image-store-types.ts';
import type { Instances } from './instances/instances.ts';
import type { Logs } from './logs/logs.ts';
import { streamLog } from './logs/stream-log.ts';

export interface AgentServerOptions {
  instances: Instances;
  images: ImageStore;
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

/** The agent's API: instances, images, logs. */
export function createAgentServer(options: AgentServerOptions): FastifyInstance {
  const { log, metrics, token } = options;
  const app = createApiServer({ log, metrics, token });
  addInstanceRoutes(app, options.instances);
  app.get('/v1/node', async () => options.node());
  app.post('/v1/images/prepare', async (request) => prepare(options.images, request.body));
  addLogRoute(app, options.logs);
  return app;
}

function addInstanceRoutes(app: FastifyInstance, instances: Instances): void {
  app.get('/v1/instances', async () => ({ instances: instances.list() }));
  app.post('/v1/instances', async (request, reply) => {
    const record = await instances.start(parseStartRequest(request.body));
    return reply.code(201).send(record);
  });
  app.get('/v1/instances/:id', async (request) => instances.status(idOf(request)));
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

function addLogRoute(app: FastifyInstance, logs: Logs): void {
  const closing = new AbortController();
  let followers = 0;
  app.addHook('preClose', async () => closing.abort());
  app.get('/v1/logs', async (request, reply) => {
    const { functionName, tail, follow } = parseLogQuery(request.query);
    const functionLog = logs.of(functionName);
    if (follow && followers >= LIMITS.logFollowersMax) {
      throw new HearthError('QueueFull', `${followers} readers follow logs already`);
    }
    const gone = new AbortController();
    if (follow) followers++;
    reply.raw.once('close', () => {
      gone.abort();
      if (follow) followers--;
    });
    const signal = AbortSignal.any([gone.signal, closing.signal]);
    const of = { functionName, instanceId: '' };
    const lines = streamLog(functionLog, { of, tail, follow, signal });
    void reply.type('application/x-ndjson').header('cache-control', 'no-store');
    return reply.send(Readable.from(lines, { objectMode: false }));
  });
}

function parseLogQuery(query: unknown): { functionName: string; tail: number; follow: boolean } {
  const fields = query as Record<string, string | undefined>;
  const tail = Number(fields.tail ?? LIMITS.logTailLinesDefault);
  if (!Number.isInteger(tail) || tail < 0 || tail > LIMITS.logTailLinesMax) {
    throw new HearthError(
      'BadRequest',
      `tail must be an integer from 0 to ${LIMITS.logTailLinesMax}: current value is ${fields.tail}`,
    );
  }
  const follow = ['1', 'true', ''].includes(fields.follow ?? 'false');
  return { functionName: String(fields.function ?? ''), tail, follow };
}
