import type { StartPhases } from '../lib/records.ts';
import type { Counter, Gauge, Histogram, Metrics } from '../lib/telemetry/metrics.ts';
import { phaseSeconds } from './api/start-phases.ts';

/** What the agent counts; every name begins with `hearth_agent_`. */
export interface AgentMetrics {
  instances: Gauge<'state'>;
  containers: Gauge<'state'>;
  memoryReservedBytes: Gauge;
  memoryForInstancesBytes: Gauge;
  starts: Counter<'reason' | 'outcome'>;
  phases: Histogram<'phase'>;
  pulls: Counter<'outcome'>;
  crashes: Counter<'cause'>;
  oomKills: Counter;
  drains: Counter<'outcome'>;
  logDroppedBytes: Counter;
  events: Counter<'action'>;
  execs: Gauge;
  recordsWaiting: Gauge;
}

/** Registers them. */
export function createAgentMetrics(metrics: Metrics): AgentMetrics {
  return {
    instances: metrics.gauge({
      name: 'hearth_agent_instances',
      help: 'Instances on this node',
      labelNames: ['state'],
    }),
    containers: metrics.gauge({
      name: 'hearth_agent_containers',
      help: 'Containers on this node: those of users, and instances',
      labelNames: ['state'],
    }),
    memoryReservedBytes: metrics.gauge({
      name: 'hearth_agent_memory_reserved_bytes',
      help: 'Sum of the memory limits of the containers',
    }),
    memoryForInstancesBytes: metrics.gauge({
      name: 'hearth_agent_memory_for_instances_bytes',
      help: 'Memory that instances may have together',
    }),
    starts: metrics.counter({
      name: 'hearth_agent_starts_total',
      help: 'Starts of instances; outcome is "ready" or an error code',
      labelNames: ['reason', 'outcome'],
    }),
    phases: metrics.histogram({
      name: 'hearth_agent_start_phase_seconds',
      help: 'Durations of the phases of successful starts',
      labelNames: ['phase'],
    }),
    pulls: metrics.counter({
      name: 'hearth_agent_image_pulls_total',
      help: 'Images made ready on this node; outcome is "pulled", "present" or an error code',
      labelNames: ['outcome'],
    }),
    crashes: metrics.counter({
      name: 'hearth_agent_crashes_total',
      help: 'Ready instances that ended by themselves',
      labelNames: ['cause'],
    }),
    oomKills: metrics.counter({
      name: 'hearth_agent_oom_kills_total',
      help: 'Instances that the kernel killed for their memory limit',
    }),
    drains: metrics.counter({
      name: 'hearth_agent_drains_total',
      help: 'Instances ended on request: stopped, killed-after-grace, killed-without-handler',
      labelNames: ['outcome'],
    }),
    logDroppedBytes: metrics.counter({
      name: 'hearth_agent_log_dropped_bytes_total',
      help: 'Output of containers that was not kept',
    }),
    events: metrics.counter({
      name: 'hearth_agent_events_total',
      help: 'What happened to containers, as the event stream tells it',
      labelNames: ['action'],
    }),
    execs: metrics.gauge({
      name: 'hearth_agent_execs',
      help: 'Programs executed in containers that run now',
    }),
    recordsWaiting: metrics.gauge({
      name: 'hearth_agent_records_waiting',
      help: 'Instance records not yet written to the store',
    }),
  };
}

/** Adds a start's durations to the histogram. */
export function observePhases(metrics: AgentMetrics, phases: StartPhases): void {
  for (const { phase, seconds } of phaseSeconds(phases)) {
    metrics.phases.observe({ phase }, seconds);
  }
}
