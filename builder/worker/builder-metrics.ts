import type { Counter, Gauge, Metrics } from '../../lib/telemetry/metrics.ts';

export type BuildResult = 'built' | 'failed' | 'cancelled';

/** What a builder counts; names are `hearth_builder_…`. */
export interface BuilderMetrics {
  running: Gauge;
  steps: Counter<'cached'>;
  ended(result: BuildResult, durationMs: number): void;
}

export function createBuilderMetrics(metrics: Metrics): BuilderMetrics {
  const builds = metrics.counter({
    name: 'hearth_builder_builds_total',
    help: 'Builds that have ended, by how',
    labelNames: ['result'],
  });
  const seconds = metrics.histogram({
    name: 'hearth_builder_build_duration_seconds',
    help: 'From the start of a build to the pushed image, or to its failure',
    labelNames: ['result'],
    buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 180, 600],
  });
  return {
    running: metrics.gauge({ name: 'hearth_builder_running', help: 'Builds under way' }),
    steps: metrics.counter({
      name: 'hearth_builder_steps_total',
      help: 'Steps of builds, by whether the cache had them',
      labelNames: ['cached'],
    }),
    ended(result, durationMs) {
      builds.inc({ result });
      seconds.observe({ result }, durationMs / 1000);
    },
  };
}
