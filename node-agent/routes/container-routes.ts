import type { FastifyInstance, FastifyRequest } from 'fastify';
import { LIMITS } from '../../lib/limits.ts';
import { parseRunRequest } from '../api/parse-run-request.ts';
import { flagIn, numberIn, queryOf, signalIn } from '../api/queries.ts';
import type { Containers } from '../containers/containers.ts';
import type { Directory } from '../containers/directory.ts';
import { notRunning } from '../containers/faults.ts';
import { Readers } from './readers.ts';

export interface ContainerRouteParts {
  containers: Containers;
  directory: Directory;
}

/** Containers that users run by hand: from their start to their removal. */
export function addContainerRoutes(app: FastifyInstance, parts: ContainerRouteParts): void {
  const { containers, directory } = parts;
  app.get('/v1/containers', async () => ({ containers: directory.list() }));
  app.post('/v1/containers', async (request, reply) => {
    const info = await containers.run(parseRunRequest(request.body));
    return reply.code(201).send(info);
  });
  app.get('/v1/containers/:id', async (request) => directory.infoOf(directory.find(idOf(request))));
  app.delete('/v1/containers/:id', async (request, reply) => {
    const { force } = queryOf(request.query, ['force']);
    const plain = directory.plain(idOf(request), 'remove');
    await containers.remove(plain, { force: flagIn(force, 'force') });
    return reply.code(204).send();
  });
  addChangeRoutes(app, parts);
  addWaitRoute(app, directory);
}

function addChangeRoutes(
  app: FastifyInstance,
  { containers, directory }: ContainerRouteParts,
): void {
  app.post('/v1/containers/:id/stop', async (request) => {
    const { graceMs } = queryOf(request.query, ['graceMs']);
    const plain = directory.plain(idOf(request), 'stop');
    const ms = numberIn(graceMs, 'graceMs', [0, LIMITS.graceMsMax]) ?? LIMITS.graceMsDefault;
    await containers.stop(plain, ms);
    return plain.info;
  });
  app.post('/v1/containers/:id/kill', async (request) => {
    const { signal } = queryOf(request.query, ['signal']);
    const plain = directory.plain(idOf(request), 'kill');
    await containers.kill(plain, signalIn(signal, 'SIGKILL'));
    return plain.info;
  });
  app.post('/v1/containers/:id/pause', async (request) => {
    const plain = directory.plain(idOf(request), 'pause');
    if (plain.container === undefined) throw notRunning(plain, 'pause');
    await plain.container.pause();
    return plain.info;
  });
  app.post('/v1/containers/:id/unpause', async (request) => {
    const plain = directory.plain(idOf(request), 'unpause');
    if (plain.container === undefined) throw notRunning(plain, 'unpause');
    await plain.container.resume();
    return plain.info;
  });
}

function addWaitRoute(app: FastifyInstance, directory: Directory): void {
  const readers = new Readers('wait for ends', LIMITS.containerWatchersMax);
  app.addHook('preClose', async () => readers.close());
  app.get('/v1/containers/:id/wait', async (request, reply) => {
    const found = directory.find(idOf(request));
    const ended = found.kind === 'plain' ? found.plain.ended : found.instance.gone;
    await endedBefore(ended, readers.enter(reply));
    if (found.kind === 'plain') return found.plain.info;
    const { code, signal, oomKilled } = await found.instance.container.exited;
    return {
      ...directory.infoOf(found),
      state: 'exited' as const,
      endedAtMs: Date.now(),
      ...(code === undefined ? {} : { exitCode: code }),
      ...(signal === undefined ? {} : { signal }),
      ...(oomKilled ? { oomKilled } : {}),
    };
  });
}

/** @throws HearthError ShuttingDown when the server closes, the signal's reason when nobody waits */
async function endedBefore(ended: Promise<void>, signal: AbortSignal): Promise<void> {
  const over = Promise.withResolvers<never>();
  const stop = (): void => over.reject(signal.reason);
  signal.addEventListener('abort', stop, { once: true });
  try {
    await Promise.race([ended, over.promise]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

function idOf(request: FastifyRequest): string {
  return (request.params as { id: string }).id;
}
