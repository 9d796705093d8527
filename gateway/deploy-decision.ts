import { type ErrorBody, HearthError } from '../lib/errors.ts';
import type { BuildRecord, FunctionRecord, RolloutRecord } from '../lib/records.ts';

export interface DeployInput {
  record: FunctionRecord;
  /** The build that `record` names. */
  build: BuildRecord | undefined;
  /** The rollout of the revision that the build made. */
  rollout: RolloutRecord | undefined;
}

export type DeployDecision =
  | { kind: 'none' }
  | { kind: 'ready'; revisionId: string }
  /** `announce`: nobody else has appended the last event of the deploy. */
  | { kind: 'failed'; error: ErrorBody; announce: boolean };

const NONE: DeployDecision = { kind: 'none' };

/** Whether the newest deploy of a function has ended, and how. */
export function decideDeploy(input: DeployInput): DeployDecision {
  const { record, build, rollout } = input;
  if (record.state !== 'deploying' || build === undefined) return NONE;
  if (build.id !== record.buildId || build.generation !== record.generation) return NONE;
  if (build.state === 'failed' || build.state === 'cancelled') {
    return { kind: 'failed', error: build.error ?? unexplained(build), announce: false };
  }
  if (build.state !== 'built' || rollout?.revisionId !== build.revisionId) return NONE;
  if (rollout?.state === 'ready') return { kind: 'ready', revisionId: rollout.revisionId };
  if (rollout?.state !== 'failed') return NONE;
  const error =
    rollout.error ?? new HearthError('StartFailed', 'no instance became ready').toBody();
  return { kind: 'failed', error, announce: true };
}

function unexplained(build: BuildRecord): ErrorBody {
  if (build.state === 'cancelled') {
    return new HearthError('BuildCancelled', `build ${build.id} was cancelled`).toBody();
  }
  return new HearthError('Internal', `build ${build.id} failed without a reason`).toBody();
}

/** `record` after its deploy has ended as `decision` says. */
export function endDeploy(
  record: FunctionRecord,
  decision: Exclude<DeployDecision, { kind: 'none' }>,
  nowMs: number,
): FunctionRecord {
  const { lastError: _old, ...rest } = record;
  if (decision.kind === 'failed') {
    return { ...rest, state: 'failed', lastError: decision.error, updatedAtMs: nowMs };
  }
  const traffic = [{ revisionId: decision.revisionId, percent: 100 }];
  return { ...rest, state: 'ready', traffic, updatedAtMs: nowMs };
}
