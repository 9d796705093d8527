import { HearthError } from '../../lib/errors.ts';
import type { BuildJob } from '../../lib/jobs.ts';
import { LIMITS } from '../../lib/limits.ts';
import type { Queues } from '../../lib/queue.ts';
import type { BuildRecord, RevisionRecord } from '../../lib/records.ts';
import type { Store } from '../../lib/store/store.ts';
import type { Log } from '../../lib/telemetry/log.ts';
import { type BuilderParts, type BuiltImage, buildImage } from '../build/build-image.ts';
import { buildFailure, isForAnotherBuilder, tookTooLong } from './build-failure.ts';
import { hasEnded, putRevision, revisionId, updateBuild } from './build-records.ts';
import type { BuilderMetrics } from './builder-metrics.ts';
import type { CancelWatch } from './cancel-watch.ts';
import { EventLog, whileStoreIsAway } from './event-log.ts';

export interface WorkerParts {
  builder: BuilderParts;
  store: Store;
  queues: Pick<Queues, 'add'>;
  cancels: CancelWatch;
  metrics: BuilderMetrics;
  log: Log;
}

/**
 * Does a job of the queue `builds`, at least once: what an earlier try has done is seen in the
 * records and not done again. What is wrong with the build goes into its record and its events;
 * only what another builder could do better is thrown.
 */
export async function runBuild(
  parts: WorkerParts,
  job: BuildJob,
  closing: AbortSignal,
): Promise<void> {
  const { store, log, metrics } = parts;
  const { buildId } = job;
  const found = await whileStoreIsAway(() => store.get('build', buildId));
  if (found === undefined) return log.warn({ buildId }, 'build has no record');
  if (hasEnded(found.record)) return finishAgain(parts, found.record);
  const events = new EventLog(store, buildId);
  if (found.record.state !== 'queued') {
    events.emit({ type: 'warning', text: 'the builder was interrupted: the build starts again' });
  }
  const cancel = parts.cancels.open(buildId);
  const startedMs = performance.now();
  const limit = timeLimit();
  const signal = AbortSignal.any([closing, cancel.signal, limit.signal]);
  metrics.running.inc();
  try {
    await updateBuild(store, buildId, { state: 'building' });
    const built = await build(parts, { job, events, signal });
    await succeed(parts, { job, built, events });
    metrics.ended('built', performance.now() - startedMs);
    log.info({ buildId, functionName: job.functionName, image: built.image.digest }, 'built');
  } catch (error) {
    // The job is no longer ours: whoever has it next does it again.
    if (closing.aborted || isForAnotherBuilder(error)) throw error;
    const reason = signal.aborted ? signal.reason : error;
    await fail(parts, { job, events, error: reason, startedMs });
  } finally {
    clearTimeout(limit.timer);
    cancel.done();
    metrics.running.dec();
  }
}

function timeLimit(): { signal: AbortSignal; timer: NodeJS.Timeout } {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(tookTooLong()), LIMITS.buildMsMax);
  return { signal: controller.signal, timer };
}

async function build(
  { builder, store, metrics }: WorkerParts,
  { job, events, signal }: { job: BuildJob; events: EventLog; signal: AbortSignal },
): Promise<BuiltImage> {
  return buildImage(builder, {
    spec: job.spec,
    contextDigest: job.contextDigest,
    tag: `g${job.generation}`,
    emit: (event) => {
      if (event.type === 'step-done') metrics.steps.inc({ cached: String(event.cached) });
      events.emit(event);
    },
    onPush: () => updateBuild(store, job.buildId, { state: 'pushing' }),
    signal,
  });
}

async function succeed(
  { store, queues }: WorkerParts,
  { job, built, events }: { job: BuildJob; built: BuiltImage; events: EventLog },
): Promise<void> {
  const { buildId, functionName, generation, spec } = job;
  const revision: RevisionRecord = {
    id: revisionId(functionName, generation),
    functionName,
    generation,
    buildId,
    image: built.image,
    contract: built.contract,
    spec,
    createdAtMs: Date.now(),
  };
  await events.flush();
  await putRevision(store, revision);
  const ended = { state: 'built' as const, revisionId: revision.id, endedAtMs: Date.now() };
  await updateBuild(store, buildId, ended);
  await addRollout(queues, revision.id, buildId);
}

async function addRollout(
  queues: Pick<Queues, 'add'>,
  revision: string,
  buildId: string,
): Promise<void> {
  const payload = { revisionId: revision, buildId };
  // Not the revision's id: a function that is removed and deployed again counts from 1 again.
  await whileStoreIsAway(() => queues.add('rollouts', payload, { jobId: buildId }));
}

/** An earlier builder may have died between the record and the job that follows from it. */
async function finishAgain({ queues }: WorkerParts, record: BuildRecord): Promise<void> {
  if (record.state !== 'built' || record.revisionId === undefined) return;
  await addRollout(queues, record.revisionId, record.id);
}

async function fail(
  { store, log, metrics }: WorkerParts,
  {
    job,
    events,
    error,
    startedMs,
  }: { job: BuildJob; events: EventLog; error: unknown; startedMs: number },
): Promise<void> {
  const known = buildFailure(error);
  const { buildId, functionName } = job;
  metrics.ended(
    known.code === 'BuildCancelled' ? 'cancelled' : 'failed',
    performance.now() - startedMs,
  );
  if (known.code === 'Internal') log.error({ err: error, buildId, functionName }, 'build failed');
  else log.info({ buildId, functionName, code: known.code, reason: known.message }, 'build failed');
  // Whoever cancelled has told so already.
  if (known.code === 'BuildCancelled') return events.flush();
  // The event first: whoever reads the events until the last one must see it, whatever comes.
  events.emit({ type: 'failed', error: known.toBody() });
  await events.flush();
  try {
    await updateBuild(store, buildId, {
      state: 'failed',
      error: known.toBody(),
      endedAtMs: Date.now(),
    });
  } catch (problem) {
    const isOver =
      problem instanceof HearthError && ['BuildCancelled', 'BuildNotFound'].includes(problem.code);
    if (!isOver) throw problem;
  }
}
