import { setTimeout as delay } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import { LIMITS } from '../../lib/limits.ts';
import { flagIn, queryOf } from '../api/queries.ts';
import type { Directory } from '../containers/directory.ts';
import type { Container } from '../engine/engine-types.ts';
import { Readers, sendLines } from './readers.ts';

const INTERVAL_MS = 1_000;

/** `GET /v1/containers/:id/stats`: what one uses, once or each second until it ends. */
export function addStatsRoutes(app: FastifyInstance, directory: Directory): void {
  const readers = new Readers('read stats', LIMITS.containerWatchersMax);
  app.addHook('preClose', async () => readers.close());
  app.get<{ Params: { id: string } }>('/v1/containers/:id/stats', async (request, reply) => {
    const { stream } = queryOf(request.query, ['stream']);
    const container = directory.running(request.params.id, 'read stats of');
    if (!flagIn(stream, 'stream')) return container.stats();
    return sendLines(reply, readings(container, readers.enter(reply)));
  });
}

async function* readings(container: Container, signal: AbortSignal): AsyncGenerator<string> {
  const over = new AbortController();
  void container.exited.then(() => over.abort());
  const ended = AbortSignal.any([signal, over.signal]);
  while (!ended.aborted) {
    yield `${JSON.stringify(await container.stats())}\n`;
    await delay(INTERVAL_MS, undefined, { signal: ended }).catch(() => {});
  }
}
