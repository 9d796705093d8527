import { setTimeout as delay } from 'node:timers/promises';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { isLastEvent, type NewDeployEvent } from '../../lib/deploy-events.ts';
import { HearthError } from '../../lib/errors.ts';
import type { BuildRecord, FunctionRecord } from '../../lib/records.ts';
import type { Store } from '../../lib/store/store.ts';
import { cancelBuild } from './cancel-build.ts';
import { goneSignal, sendLines } from './ndjson.ts';

export interface BuildRouteParts {
  store: Store;
  urlOf(functionName: string): string;
  /** Aborts when the gateway stops. */
  stopping: AbortSignal;
}

const BLOCK_MS = 5_000;
const SETTLE_POLL_MS = 25;
const SETTLE_POLLS_MAX = 80;

/** Builds: their record, the story of their deploy, cancelling. */
export function addBuildRoutes(app: FastifyInstance, parts: BuildRouteParts): void {
  app.get('/v1/builds/:id', async (request) => readBuild(parts.store, idOf(request)));
  app.delete('/v1/builds/:id', async (request) => {
    const record = await cancelBuild(parts.store, idOf(request));
    if (record === undefined) throw unknownBuild(idOf(request));
    return record;
  });
  app.get('/v1/builds/:id/events', async (request, reply) => {
    const buildId = idOf(request);
    await readBuild(parts.store, buildId);
    const { after = '0' } = request.query as { after?: string };
    if (!/^\d{1,20}(-\d{1,20})?$/.test(after)) {
      throw new HearthError('BadRequest', 'after must be the id of an event', {
        hint: 'take it from the id of the last line read',
      });
    }
    const signal = AbortSignal.any([goneSignal(reply), parts.stopping]);
    return sendLines(reply, followBuild(parts, { buildId, after, signal }));
  });
}

function idOf(request: FastifyRequest): string {
  const { id } = request.params as { id: string };
  if (!/^b-[0-9a-z]{1,32}$/.test(id)) throw unknownBuild(id);
  return id;
}

function unknownBuild(id: string): HearthError {
  return new HearthError(
    'BuildNotFound',
    `build ${JSON.stringify(id.slice(0, 64))} does not exist`,
  );
}

async function readBuild(store: Store, id: string): Promise<BuildRecord> {
  const stored = await store.get('build', id);
  if (stored === undefined) throw unknownBuild(id);
  return stored.record;
}

/** The events of a deploy up to its last. An empty line now and then shows that it is alive. */
async function* followBuild(
  parts: BuildRouteParts,
  options: { buildId: string; after: string; signal: AbortSignal },
): AsyncGenerator<string> {
  const { store } = parts;
  const { buildId, signal } = options;
  let afterId = options.after;
  while (!signal.aborted) {
    const events = await store.readDeployEvents(buildId, { afterId, blockMs: BLOCK_MS, signal });
    for (const { id, event } of events) {
      if (isLastEvent(event)) await untilSettled(parts.store, { buildId, signal });
      yield `${JSON.stringify({ id, ...event })}\n`;
      afterId = id;
      if (isLastEvent(event)) return;
    }
    if (events.length > 0 || signal.aborted) continue;
    const end = await silentEnd(parts, buildId);
    if (end !== undefined) {
      yield `${JSON.stringify({ id: afterId, timeMs: Date.now(), ...end })}\n`;
      return;
    }
    yield '\n';
  }
}

/**
 * The builder ends the story of a build that failed, and the function's record follows: whoever has
 * read the end finds it there.
 */
async function untilSettled(
  store: Store,
  { buildId, signal }: { buildId: string; signal: AbortSignal },
): Promise<void> {
  const build = (await store.get('build', buildId))?.record;
  for (let polls = 0; build !== undefined && polls < SETTLE_POLLS_MAX; polls++) {
    const record = (await store.get('function', build.functionName))?.record;
    if (record?.buildId !== buildId || record.state !== 'deploying' || signal.aborted) return;
    await delay(SETTLE_POLL_MS);
  }
}

/** The last event of a deploy that has ended although nobody said so: its writer was killed. */
async function silentEnd(
  { store, urlOf }: BuildRouteParts,
  buildId: string,
): Promise<NewDeployEvent | undefined> {
  const build = (await store.get('build', buildId))?.record;
  if (build === undefined) return failed(unknownBuild(buildId));
  const record = (await store.get('function', build.functionName))?.record;
  if (record === undefined) return failed(new HearthError('FunctionNotFound', 'it was deleted'));
  if (record.buildId !== buildId) {
    return failed(new HearthError('BuildCancelled', 'a newer deploy took its place'));
  }
  return record.state === 'deploying' ? undefined : endOf(record, build, urlOf(record.name));
}

function endOf(record: FunctionRecord, build: BuildRecord, url: string): NewDeployEvent {
  if (record.state === 'failed') {
    const error = record.lastError ?? new HearthError('Internal', 'the deploy failed').toBody();
    return { type: 'failed', error };
  }
  const revisionId = build.revisionId ?? '';
  const durationMs = record.updatedAtMs - build.createdAtMs;
  return { type: 'ready', revisionId, url, durationMs, startMs: 0 };
}

function failed(error: HearthError): NewDeployEvent {
  return { type: 'failed', error: error.toBody() };
}
