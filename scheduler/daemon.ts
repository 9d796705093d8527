import { setInterval } from 'node:timers/promises';
import type { Config } from '../lib/config.ts';
import type { Daemon } from '../lib/daemon.ts';
import { HearthError } from '../lib/errors.ts';
import { createApiServer } from '../lib/http/server.ts';
import { LIMITS } from '../lib/limits.ts';
import { createQueues, createWorker, type Queues } from '../lib/queue.ts';
import { readSecret } from '../lib/secrets.ts';
import { createRedisStore } from '../lib/store/redis.ts';
import type { Log } from '../lib/telemetry/log.ts';
import { Metrics } from '../lib/telemetry/metrics.ts';
import { AgentClients } from './agent-client.ts';
import { Comparisons } from './comparisons.ts';
import { Leadership } from './leadership.ts';
import { createSchedulerMetrics, observeDepth, type SchedulerMetrics } from './metrics.ts';
import { followStore, Mirror } from './mirror.ts';
import { Reconciler } from './reconcile.ts';
import { rollOut } from './rollout.ts';
import { watchSteadiness } from './steadiness.ts';

/** Rollouts at once: each mostly waits for an agent. */
const ROLLOUTS_MAX = 8;
const ROLLOUT_GRACE_MS = 5_000;
const QUEUES = ['builds', 'rollouts', 'reconcile'] as const;

/**
 * Starts a scheduler: it takes rollouts like all others of its kind, and while it leads it compares
 * desired with actual once a `LIMITS.reconcileMs`.
 * @throws HearthError ConfigInvalid
 */
export async function startScheduler(config: Config, log: Log): Promise<Daemon> {
  if (config.redisUrl === '') {
    throw new HearthError('ConfigInvalid', 'redisUrl is not set', {
      hint: 'hearth up sets it; a daemon alone takes it from its flags, environment or file',
    });
  }
  const token = readSecret(config.dataRoot, 'cluster-token');
  const redis = { url: config.redisUrl, prefix: config.storePrefix, log };
  const store = createRedisStore(redis);
  const queues = createQueues(redis);
  const agents = new AgentClients(token);
  const registry = new Metrics();
  const metrics = createSchedulerMetrics(registry);
  const mirror = new Mirror();
  const reconciler = new Reconciler({
    ...{ store, agents, mirror, log, metrics },
    isLeader: () => leadership.isLeader,
  });
  const comparisons = new Comparisons({ redis, queues, log, run: () => reconciler.run() });
  const leadership = new Leadership({
    ...{ store, log },
    onGained: () => comparisons.start(),
    onLost: () => comparisons.stop(),
  });
  const stopping = new AbortController();
  const { signal } = stopping;

  const app = createApiServer({ log, metrics: registry, token, ready: () => store.ping() });
  const address = await app.listen({ host: config.host, port: config.port });

  const leading = leadership.run(signal);
  const background = Promise.all([
    followStore({
      store,
      mirror,
      signal,
      log,
      onChange: (change, before) => reconciler.observe(change, before),
    }),
    watchSteadiness({
      store,
      signal,
      everyMs: LIMITS.reconcileMs,
      onGap: () => reconciler.unsteady(),
    }),
    keepCounting(queues, metrics, signal),
  ]);
  const rollouts = createWorker(
    'rollouts',
    (job, jobSignal) => rollOut({ store, agents, log, metrics }, job, jobSignal),
    { ...redis, concurrency: ROLLOUTS_MAX },
  );
  return {
    addresses: { api: address },
    stop: async () => {
      reconciler.close();
      stopping.abort();
      await Promise.all([leading, rollouts.close({ graceMs: ROLLOUT_GRACE_MS })]);
      await background;
      await app.close();
      await Promise.all([agents.close(), queues.close(), store.close()]);
    },
  };
}

async function keepCounting(
  queues: Queues,
  metrics: SchedulerMetrics,
  signal: AbortSignal,
): Promise<void> {
  await every(LIMITS.reconcileMs * 2, signal, async () => {
    for (const name of QUEUES) {
      const depth = await queues.depth(name).catch(() => undefined);
      if (depth !== undefined) observeDepth(metrics, name, depth);
    }
  });
}

async function every(ms: number, signal: AbortSignal, task: () => Promise<void>): Promise<void> {
  await task();
  try {
    for await (const _tick of setInterval(ms, undefined, { signal, ref: false })) await task();
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
