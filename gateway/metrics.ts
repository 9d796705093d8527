import type { InstanceRecord } from '../lib/records.ts';
import type { Counter, Gauge, Histogram, Metrics } from '../lib/telemetry/metrics.ts';
import { phaseSeconds } from '../node-agent/api/start-phases.ts';

/** Label of calls that name no function there is: what callers invent makes no series. */
export const OTHER = '_other';

export interface CallOutcome {
  functionName: string;
  status: number;
  durationMs: number;
}

/** What the gateway counts: `hearth_gateway_…`. */
export class GatewayMetrics {
  readonly #requests: Counter<'function' | 'code'>;
  readonly #duration: Histogram<'function'>;
  readonly #coldStarts: Counter<'function'>;
  readonly #coldPhases: Histogram<'phase'>;
  readonly #startsFailed: Counter<'function' | 'error'>;
  readonly #retries: Counter<string>;

  constructor(metrics: Metrics) {
    this.#requests = metrics.counter({
      name: 'hearth_gateway_requests_total',
      help: 'Invocations by function and status of the answer',
      labelNames: ['function', 'code'],
    });
    this.#duration = metrics.histogram({
      name: 'hearth_gateway_request_duration_seconds',
      help: 'First byte in until last byte out',
      labelNames: ['function'],
    });
    this.#coldStarts = metrics.counter({
      name: 'hearth_gateway_cold_starts_total',
      help: 'Instances started for waiting requests',
      labelNames: ['function'],
    });
    this.#coldPhases = metrics.histogram({
      name: 'hearth_gateway_cold_start_duration_seconds',
      help: 'Durations of the phases of cold starts',
      labelNames: ['phase'],
    });
    this.#startsFailed = metrics.counter({
      name: 'hearth_gateway_starts_failed_total',
      help: 'Tries of an agent to start an instance that failed, by reason',
      labelNames: ['function', 'error'],
    });
    this.#retries = metrics.counter({
      name: 'hearth_gateway_retries_total',
      help: 'Tries on another instance or connection',
    });
  }

  finished(outcome: CallOutcome): void {
    const { functionName, status, durationMs } = outcome;
    this.#requests.inc({ function: functionName, code: String(status) });
    this.#duration.observe({ function: functionName }, durationMs / 1000);
  }

  started(record: InstanceRecord): void {
    this.#coldStarts.inc({ function: record.functionName });
    for (const { phase, seconds } of phaseSeconds(record.phases)) {
      this.#coldPhases.observe({ phase }, seconds);
    }
  }

  startFailed(functionName: string, error: string): void {
    this.#startsFailed.inc({ function: functionName, error });
  }

  retried(): void {
    this.#retries.inc();
  }
}

/** What is counted at the moment of a scrape. */
export interface PoolSums {
  running: number;
  waiting: number;
  starting: number;
  ready: number;
  draining: number;
}

/** Gauges that read the pools when they are scraped. */
export function watchPools(metrics: Metrics, sums: () => PoolSums): void {
  const gauge = (name: string, help: string, key: keyof PoolSums): Gauge<string> =>
    metrics.gauge({
      name: `hearth_gateway_${name}`,
      help,
      collect() {
        this.set(sums()[key]);
      },
    });
  gauge('in_flight', 'Invocations at an instance now', 'running');
  gauge('waiting', 'Invocations that wait for an instance now', 'waiting');
  metrics.gauge({
    name: 'hearth_gateway_instances',
    help: 'Instances as the pools see them, by state',
    labelNames: ['state'],
    collect() {
      const { starting, ready, draining } = sums();
      this.set({ state: 'starting' }, starting);
      this.set({ state: 'ready' }, ready);
      this.set({ state: 'draining' }, draining);
    },
  });
}
