import type { RevisionRecord, StartReason } from '../../lib/records.ts';
import { containerKeysOf } from '../../lib/spec/container-keys.ts';
import type { StartInstanceRequest } from './types.ts';

/** What an agent needs to start an instance of `revision`. */
export function startRequest(revision: RevisionRecord, reason: StartReason): StartInstanceRequest {
  const { spec } = revision;
  return {
    functionName: revision.functionName,
    revisionId: revision.id,
    image: revision.image,
    contract: revision.contract,
    reason,
    port: spec.port,
    env: spec.env,
    memoryBytes: spec.memoryBytes,
    cpuMillis: spec.cpuMillis,
    pids: spec.pids,
    timeoutMs: spec.timeoutMs,
    startTimeoutMs: spec.startTimeoutMs,
    graceMs: spec.graceMs,
    concurrency: spec.concurrency,
    ...containerKeysOf(spec),
  };
}
