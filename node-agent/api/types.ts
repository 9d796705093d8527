import type { EventInfo } from '../../lib/container-api.ts';
import type { ErrorBody } from '../../lib/errors.ts';
import type { ImageRef, InstanceRecord, StartReason } from '../../lib/records.ts';
import type { ContainerKeys, GuestContract } from '../../lib/spec/spec.ts';

/**
 * `POST /v1/instances`: starts an instance and answers 201 with its record once it is ready.
 * Errors: StartFailed, NotListening, EntrypointNotFound, ExecFormat, HandlerInvalid (with
 * `details.logTail: string[]`), NodeFull, ImageCorrupt, RegistryUnavailable, ShuttingDown.
 */
export interface StartInstanceRequest extends ContainerKeys {
  functionName: string;
  revisionId: string;
  image: ImageRef;
  contract: GuestContract;
  reason: StartReason;
  port: number;
  env: Record<string, string>;
  memoryBytes: number;
  cpuMillis: number;
  pids: number;
  timeoutMs: number;
  startTimeoutMs: number;
  graceMs: number;
  concurrency: number;
}

export type StartInstanceAnswer = InstanceRecord;

/**
 * `POST /v1/instances/:id/drain`: the instance takes no new leases (its record says `draining`),
 * ends when every live gateway has released it, or after `timeoutMs`; then SIGTERM, grace, SIGKILL.
 * Answers 202 at once.
 */
export interface DrainRequest {
  reason: string;
  timeoutMs?: number;
}

/** `POST /v1/instances/:id/released`: this gateway holds no lease on it any more. 204. */
export interface ReleasedRequest {
  gateway: string;
}

/**
 * `GET /v1/instances/:id`: an instance, also one that ended lately: its record then says `stopped`
 * and, unless it was drained, `error` why (InstanceCrashed, InstanceOOM).
 */
export interface InstanceStatus {
  record: InstanceRecord;
  error?: ErrorBody;
  /** The last limits that instances of its function met, oldest first; none: absent. */
  events?: EventInfo[];
}

/** `POST /v1/images/prepare`: pulls and unpacks, so that a later start need not. */
export interface PrepareImageRequest {
  image: ImageRef;
}

export interface PrepareImageAnswer {
  /** False when it was there already. */
  pulled: boolean;
  pullMs: number;
}
