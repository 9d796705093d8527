import type { QueueDepth } from '../lib/queue.ts';
import type { Counter, Gauge, Histogram, Metrics } from '../lib/telemetry/metrics.ts';
import type { Decision } from './world.ts';

/** What the scheduler counts. */
export interface SchedulerMetrics {
  decisions: Counter<'action'>;
  failures: Counter<'action'>;
  reconcileSeconds: Histogram;
  rollouts: Counter<'outcome'>;
  rolloutSeconds: Histogram;
  queueJobs: Gauge<'queue' | 'state'>;
  instances: Gauge<'function' | 'revision' | 'count'>;
  unplaced: Gauge;
  nodes: Gauge;
}

export function createSchedulerMetrics(metrics: Metrics): SchedulerMetrics {
  return {
    decisions: metrics.counter({
      name: 'hearth_scheduler_decisions_total',
      help: 'Actions decided, by kind',
      labelNames: ['action'],
    }),
    failures: metrics.counter({
      name: 'hearth_scheduler_action_failures_total',
      help: 'Actions that failed, by kind',
      labelNames: ['action'],
    }),
    reconcileSeconds: metrics.histogram({
      name: 'hearth_scheduler_reconcile_duration_seconds',
      help: 'Time of one comparison of desired with actual',
    }),
    rollouts: metrics.counter({
      name: 'hearth_scheduler_rollouts_total',
      help: 'Rollouts ended, by outcome: ready or the code of the error',
      labelNames: ['outcome'],
    }),
    rolloutSeconds: metrics.histogram({
      name: 'hearth_scheduler_rollout_duration_seconds',
      help: 'Time from taking a rollout until its end',
    }),
    queueJobs: metrics.gauge({
      name: 'hearth_scheduler_queue_jobs',
      help: 'Jobs by queue and state',
      labelNames: ['queue', 'state'],
    }),
    instances: metrics.gauge({
      name: 'hearth_scheduler_instances',
      help: 'Instances of a revision, desired and actual',
      labelNames: ['function', 'revision', 'count'],
    }),
    unplaced: metrics.gauge({
      name: 'hearth_scheduler_unplaced_revisions',
      help: 'Revisions that need an instance which fits on no node',
    }),
    nodes: metrics.gauge({ name: 'hearth_scheduler_nodes', help: 'Nodes with a record' }),
  };
}

/** Shows the outcome of one decision. */
export function observeDecision(metrics: SchedulerMetrics, decision: Decision): void {
  for (const { type } of decision.actions) metrics.decisions.inc({ action: type });
  metrics.instances.reset();
  for (const { functionName, revisionId, desired, actual } of decision.counts) {
    const labels = { function: functionName, revision: revisionId };
    metrics.instances.set({ ...labels, count: 'desired' }, desired);
    metrics.instances.set({ ...labels, count: 'actual' }, actual);
  }
  metrics.unplaced.set(decision.unplaced.length);
}

export function observeDepth(metrics: SchedulerMetrics, queue: string, depth: QueueDepth): void {
  for (const [state, count] of Object.entries(depth))
    metrics.queueJobs.set({ queue, state }, count);
}
