import { setTimeout as delay } from 'node:timers/promises';
import type { AgentMetrics } from '../agent-metrics.ts';
import type { InstanceFiles } from '../state/instance-files.ts';
import type { RecordWriter } from '../state/record-writer.ts';
import { awaitReleased, terminate } from './drain.ts';
import type { Instance } from './instance.ts';

/** What a drain needs of the agent. */
export interface DrainParts {
  records: RecordWriter;
  files: InstanceFiles;
  metrics: AgentMetrics;
  /** Names of the gateways that live now. Rejects while the store is away. */
  liveGateways(): Promise<string[]>;
}

export interface DrainOptions {
  /** How long gateways may take to release it. */
  timeoutMs: number;
  /** Between SIGTERM and SIGKILL. */
  graceMs: number;
  /** Whether its process has not ended yet. */
  isHere(): boolean;
}

/** The story of a drain, of an instance whose state is `draining` already. */
export async function drainInstance(
  parts: DrainParts,
  instance: Instance,
  options: DrainOptions,
): Promise<void> {
  const { timeoutMs, graceMs } = options;
  const endMs = performance.now() + timeoutMs;
  const written = parts.records.put(instance.record);
  await parts.files.put({ record: instance.record, limits: instance.limits });
  // It may have ended while its file was written.
  if (!options.isHere()) await parts.files.remove(instance.id);
  // Gateways learn of the drain by the record, so those who live are read after it is written.
  await Promise.race([written, instance.gone, delay(timeoutMs, undefined, { ref: false })]);
  const { liveGateways } = parts;
  await awaitReleased(instance, { timeoutMs: endMs - performance.now(), liveGateways });
  const outcome = await terminate(instance, graceMs);
  if (outcome === 'killed-after-grace') {
    instance.log.system(`KilledAfterGrace: still there ${graceMs / 1000} s after SIGTERM`);
  }
  parts.metrics.drains.inc({ outcome });
  await instance.gone;
}
