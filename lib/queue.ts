import { once } from 'node:events';
import { type Job, Queue, Worker } from 'bullmq';
import { HearthError } from './errors.ts';
import type { JobQueues, QueueName } from './jobs.ts';
import { LIMITS } from './limits.ts';
import { connectQueue, whenReady } from './store/redis.ts';
import { redisFault } from './store/redis-fault.ts';
import type { Log } from './telemetry/log.ts';

export interface QueueOptions {
  /** `redis://`, `rediss://` or `unix://PATH`. */
  url: string;
  /** Prefix of every key in Redis, as for the store. */
  prefix: string;
  log: Log;
}

/** Jobs of one queue by state. */
export interface QueueDepth {
  waiting: number;
  active: number;
  delayed: number;
  failed: number;
}

/** Where jobs are added. Without Redis every method throws QueueUnavailable within about 2 s. */
export interface Queues {
  /**
   * Adds a job. A job whose id is in the queue or was there within `LIMITS.jobKeepMs` is not added
   * again, so adding twice is harmless. Once this resolves the job is in Redis' append-only file.
   */
  add<N extends QueueName>(
    name: N,
    payload: JobQueues[N],
    options: { jobId: string },
  ): Promise<void>;
  /** Adds a job every `everyMs`, each to one worker only; the same call again changes nothing. */
  repeat<N extends QueueName>(name: N, payload: JobQueues[N], everyMs: number): Promise<void>;
  depth(name: QueueName): Promise<QueueDepth>;
  close(): Promise<void>;
}

export interface WorkerOptions extends QueueOptions {
  /** Jobs at once in this worker. */
  concurrency: number;
  /** How long a job is safe from others after its worker has died. */
  lockMs?: number;
  /** How often jobs of dead workers are looked for. */
  stalledMs?: number;
  /** Deaths of a worker that one job survives. */
  stalledCountMax?: number;
}

/**
 * Does one job. A throw is a retry, at most `ATTEMPTS` in all: what the user did wrong belongs in a
 * record, not in a throw. `signal` aborts when the job now belongs to another worker, or when this
 * one closes.
 */
export type JobHandler<N extends QueueName> = (
  payload: JobQueues[N],
  signal: AbortSignal,
) => Promise<void>;

export interface JobWorker {
  /** Takes no more jobs; those under way get `graceMs`, then an abort, then 5 s. */
  close(options?: { graceMs?: number }): Promise<void>;
}

const ATTEMPTS = 5;
const RETRY_DELAY_MS = 500;
const CLOSE_MS_MAX = 5_000;
const SAME_ERROR_MS = 10_000;
/** A job lies at `PREFIX:QUEUE:ID`, beside these (BullMQ 6, queue-keys.ts). */
const KEYS_OF_QUEUE: ReadonlySet<string> = new Set([
  'active',
  'wait',
  'waiting-children',
  'paused',
  'id',
  'delayed',
  'prioritized',
  'stalled-check',
  'completed',
  'failed',
  'stalled',
  'repeat',
  'limiter',
  'meta',
  'events',
  'pc',
  'marker',
  'de',
]);
const JOB_ID = /^[A-Za-z][A-Za-z0-9_.-]{0,127}$/;

/** The queues of `JobQueues`, for adding jobs. Connects by itself, now and after every loss. */
export function createQueues(options: QueueOptions): Queues {
  const { url, prefix, log } = options;
  const connection = connectQueue(url, 'add', log);
  const queues = new Map<QueueName, Queue>();
  const queueOf = (name: QueueName): Queue => {
    const known = queues.get(name);
    if (known !== undefined) return known;
    const queue = new Queue(name, {
      connection,
      prefix: keyPrefix(prefix),
      skipWaitingForReady: true,
      skipVersionCheck: true,
      skipMetasUpdate: true,
    });
    queue.on('error', errorLog(log, name));
    queues.set(name, queue);
    return queue;
  };
  const run = async <T>(send: () => Promise<T>): Promise<T> => {
    try {
      await whenReady(connection, LIMITS.storeReadyMs);
      return await send();
    } catch (error) {
      throw redisFault(error, 'QueueUnavailable');
    }
  };
  return {
    async add(name, payload, { jobId }) {
      checkJob(jobId, payload);
      await run(() => queueOf(name).add(name, payload, { jobId, ...KEPT, ...RETRIED }));
    },
    async repeat(name, payload, everyMs) {
      const opts = { removeOnComplete: true, removeOnFail: { count: 10 } };
      const template = { name, data: payload, opts };
      await run(() => queueOf(name).upsertJobScheduler(name, { every: everyMs }, template));
    },
    depth: (name) => run(() => depthOf(queueOf(name))),
    async close() {
      const closing = [...queues.values()].map((queue) => queue.close().catch(() => undefined));
      await Promise.race([Promise.all(closing), timeout(CLOSE_MS_MAX)]);
      connection.disconnect();
    },
  };
}

/** Takes jobs of the queue `name` until closed; waits by itself while Redis is away. */
export function createWorker<N extends QueueName>(
  name: N,
  handler: JobHandler<N>,
  options: WorkerOptions,
): JobWorker {
  const { url, prefix, log } = options;
  const connection = connectQueue(url, 'work', log);
  const closing = new AbortController();
  // BullMQ hands out its signal only to a function that names three parameters.
  const process = async (job: Job, _token: string | undefined, lost?: AbortSignal) => {
    const signal = lost === undefined ? closing.signal : AbortSignal.any([closing.signal, lost]);
    await handler(job.data as JobQueues[N], signal);
  };
  const worker = new Worker(name, process, {
    connection,
    prefix: keyPrefix(prefix),
    concurrency: options.concurrency,
    lockDuration: options.lockMs ?? 10_000,
    stalledInterval: options.stalledMs ?? 3_000,
    maxStalledCount: options.stalledCountMax ?? 5,
    runRetryDelay: 1_000,
  });
  worker.on('error', errorLog(log, name));
  worker.on('stalled', (jobId) => log.warn({ queue: name, jobId }, 'job taken from a dead worker'));
  worker.on('failed', (job, error) => {
    log.warn({ queue: name, jobId: job?.id, attempt: job?.attemptsMade, err: error }, 'job failed');
  });
  worker.on('lockRenewalFailed', (jobIds) => {
    for (const jobId of jobIds) worker.cancelJob(jobId, 'the job now belongs to another worker');
  });
  return {
    close: async ({ graceMs = 0 } = {}) => {
      const closed = worker.close();
      // Without Redis no job can be ended: then it is left, and taken over once its lock runs out.
      const away = lost(connection);
      if (graceMs > 0) await Promise.race([closed, away, timeout(graceMs)]);
      closing.abort(new HearthError('ShuttingDown', `worker of queue ${name} stops`));
      await Promise.race([closed, away, timeout(CLOSE_MS_MAX)]);
      connection.disconnect();
      await Promise.race([closed, timeout(CLOSE_MS_MAX)]);
    },
  };
}

const KEPT = {
  removeOnComplete: { age: LIMITS.jobKeepMs / 1000, count: LIMITS.jobsKeptMax },
  removeOnFail: { age: LIMITS.jobKeepMs / 1000, count: LIMITS.jobsKeptMax },
} as const;

const RETRIED = {
  attempts: ATTEMPTS,
  backoff: { type: 'exponential', delay: RETRY_DELAY_MS, jitter: 0.5 },
} as const;

function keyPrefix(prefix: string): string {
  return `${prefix}:queue`;
}

async function depthOf(queue: Queue): Promise<QueueDepth> {
  const counts = await queue.getJobCounts('wait', 'active', 'delayed', 'failed', 'prioritized');
  return {
    waiting: (counts.wait ?? 0) + (counts.prioritized ?? 0),
    active: counts.active ?? 0,
    delayed: counts.delayed ?? 0,
    failed: counts.failed ?? 0,
  };
}

/** @throws HearthError BadRequest: `:` separates keys in Redis and a bare number is BullMQ's own */
function checkJob(jobId: string, payload: unknown): void {
  const shown = JSON.stringify(jobId.slice(0, 140));
  if (!JOB_ID.test(jobId)) {
    throw new HearthError('BadRequest', `job id must match ${JOB_ID.source}; got ${shown}`);
  }
  if (KEYS_OF_QUEUE.has(jobId)) {
    throw new HearthError('BadRequest', `job id ${shown} is a key of the queue itself`);
  }
  const bytes = Buffer.byteLength(JSON.stringify(payload));
  if (bytes > LIMITS.jobBytesMax) {
    throw new HearthError(
      'PayloadTooLarge',
      `job "${jobId}" must have at most ${LIMITS.jobBytesMax} bytes: current value is ${bytes}`,
    );
  }
}

/** Logs an error once in a while: BullMQ repeats it at every retry. */
function errorLog(log: Log, queue: string): (error: Error) => void {
  let lastText = '';
  let lastAtMs = 0;
  return (error) => {
    const nowMs = performance.now();
    if (error.message === lastText && nowMs - lastAtMs < SAME_ERROR_MS) return;
    lastText = error.message;
    lastAtMs = nowMs;
    log.warn({ queue, err: error.message }, 'queue error');
  };
}

/** Resolves when there is no connection. */
async function lost(connection: ReturnType<typeof connectQueue>): Promise<void> {
  if (connection.status === 'ready') await once(connection, 'close').catch(() => undefined);
}

function timeout(ms: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  setTimeout(resolve, ms).unref();
  return promise;
}
