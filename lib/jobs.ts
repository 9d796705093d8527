import type { Digest } from './digest.ts';
import type { FunctionSpec } from './spec/spec.ts';

/**
 * The BullMQ queues, by name, with the payload of their jobs. A job only names what to do; the
 * truth is in the records, so running a job twice is harmless.
 */
export interface JobQueues {
  /** gateway → builder: make the image of a deploy. Job id: the build id. */
  builds: BuildJob;
  /** builder → scheduler: bring a built revision to readiness. Job id: the revision id. */
  rollouts: RolloutJob;
  /** scheduler → scheduler: compare desired with actual. Repeats every `LIMITS.reconcileMs`. */
  reconcile: ReconcileJob;
}

export type QueueName = keyof JobQueues;

export interface BuildJob {
  buildId: string;
  functionName: string;
  generation: number;
  contextDigest: Digest;
  spec: FunctionSpec;
}

export interface RolloutJob {
  revisionId: string;
  buildId: string;
}

export type ReconcileJob = Record<string, never>;
