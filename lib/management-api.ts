import type { EventInfo } from './container-api.ts';
import type { DeployEvent } from './deploy-events.ts';
import type { Digest } from './digest.ts';
import type {
  BuildRecord,
  FunctionRecord,
  GatewayRecord,
  InstanceRecord,
  NodeRecord,
  RevisionRecord,
  RolloutRecord,
} from './records.ts';
import type { FunctionSpec } from './spec/spec.ts';

/** The bodies of the gateway's management API, `/v1/…`, as the gateway writes and the CLI reads them. */

/** `POST /v1/uploads`, body `application/x-tar` → 201. */
export interface UploadAnswer {
  digest: Digest;
  sizeBytes: number;
}

/** `PUT /v1/functions/:name`. */
export interface DeployRequest {
  spec: FunctionSpec;
  contextDigest: Digest;
  /** Deploy also while another deploy runs (it is cancelled) and when nothing has changed. */
  force?: boolean;
}

/** 202 when a build was queued; 200 when nothing has changed. */
export type DeployAnswer =
  | { buildId: string; functionName: string; generation: number }
  | { unchanged: true; revisionId: string; url: string };

/** One row of `GET /v1/functions` → `{functions: FunctionSummary[]}`, sorted by name. */
export interface FunctionSummary {
  name: string;
  state: FunctionRecord['state'];
  generation: number;
  url: string;
  /** Revisions with traffic. */
  traffic: FunctionRecord['traffic'];
  /** Instances that take requests. */
  instances: number;
  memoryBytes: number;
  updatedAtMs: number;
}

/** `GET /v1/functions/:name`: all that is known. */
export interface FunctionDescription {
  function: FunctionRecord;
  url: string;
  build?: BuildRecord;
  /** Newest first. */
  revisions: RevisionRecord[];
  rollouts: RolloutRecord[];
  instances: InstanceRecord[];
  /** What this gateway sees of each revision. */
  demand: { revisionId: string; running: number; waiting: number }[];
  /** What its instances met lately: ends, limits, out of memory; oldest first. */
  events: EventInfo[];
}

/** `DELETE /v1/functions/:name`. */
export interface DeleteAnswer {
  deleted: string;
  /** Instances that were asked to drain. */
  draining: number;
}

/** A line of `GET /v1/builds/:id/events`; `?after=` takes its `id`. */
export type DeployEventLine = DeployEvent & { id: string };

/** `GET /v1/system`. */
export interface SystemAnswer {
  version: string;
  gateway: string;
  nodes: NodeRecord[];
  gateways: GatewayRecord[];
  counts: { functions: number; revisions: number; instances: number; builds: number };
}
