import { rm } from 'node:fs/promises';
import type { HearthError } from '../../lib/errors.ts';
import type { Log } from '../../lib/telemetry/log.ts';
import type { AgentMetrics } from '../agent-metrics.ts';
import type { ExitStatus } from '../engine/container-spec.ts';
import type { InstanceFiles } from '../state/instance-files.ts';
import type { RecordWriter } from '../state/record-writer.ts';
import { endError } from './end-error.ts';
import { exitText } from './exit-text.ts';
import type { Instance } from './instance.ts';
import { peakOf } from './readiness.ts';
import { socketPathOf } from './start-container.ts';

/** What the end of an instance needs of the agent. */
export interface EndParts {
  records: RecordWriter;
  files: InstanceFiles;
  metrics: AgentMetrics;
  log: Log;
  socketsDir: string;
}

export interface EndOptions {
  exit: ExitStatus;
  /** It was drained or killed; else it ended by itself. */
  wasAsked: boolean;
  /** Told what a crash means to a request that was in it, before the remains go. */
  onCrash(error: HearthError): void;
}

/**
 * The story after an instance's process has ended: its record goes, its log says why, its remains
 * go.
 */
export async function endInstance(
  parts: EndParts,
  instance: Instance,
  options: EndOptions,
): Promise<void> {
  const { exit, wasAsked } = options;
  instance.exposure.close();
  void parts.records.remove(instance.id);
  const limitBytes = instance.limits.memoryBytes;
  const memory = { limitBytes, peakBytes: await peakOf(instance.container) };
  const text = exitText(exit, memory);
  instance.log.system(wasAsked ? `stopped: ${text}` : text);
  instance.log.end();
  if (exit.oomKilled) parts.metrics.oomKills.inc();
  if (!wasAsked) {
    parts.metrics.crashes.inc({ cause: exit.oomKilled ? 'oom' : 'exit' });
    const { id, functionName, revisionId } = instance.record;
    parts.log.warn({ instance: id, functionName, revisionId, exit: text }, 'instance crashed');
    options.onCrash(endError(exit, memory));
  }
  try {
    await instance.container.remove();
    await parts.files.remove(instance.id);
    await rm(socketPathOf(parts.socketsDir, instance.id), { force: true });
  } finally {
    instance.markGone();
  }
}
