import { LIMITS } from '../limits.ts';
import type { FunctionSpec, ScaleSpec } from './spec.ts';

/** What a `function.yaml` or a command line says: any part of a spec, units already numbers. */
export type PartialSpec = Partial<Omit<FunctionSpec, 'scale'>> & { scale?: Partial<ScaleSpec> };

/** The spec of a function about which nothing was said. */
export function defaultSpec(name: string): FunctionSpec {
  return {
    name,
    runtime: 'dockerfile',
    dockerfile: 'Dockerfile',
    handler: '',
    buildArgs: {},
    env: {},
    labels: {},
    port: LIMITS.portDefault,
    memoryBytes: LIMITS.memoryBytesDefault,
    cpuMillis: LIMITS.cpuMillisDefault,
    pids: LIMITS.pidsDefault,
    timeoutMs: LIMITS.timeoutMsDefault,
    startTimeoutMs: LIMITS.startTimeoutMsDefault,
    graceMs: LIMITS.graceMsDefault,
    concurrency: LIMITS.concurrencyDefault,
    scale: { min: 0, max: LIMITS.scaleMaxDefault, idleMs: LIMITS.idleMsDefault },
  };
}
