import { type ErrorCode, HearthError, toHearthError } from '../lib/errors.ts';
import type { InstanceRecord, RevisionRecord } from '../lib/records.ts';
import { isNodeFault } from '../node-agent/api/node-fault.ts';
import { startRequest } from '../node-agent/api/start-request.ts';
import type { StartInstanceRequest } from '../node-agent/api/types.ts';

/** Faults that no other try can mend. */
const FINAL: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'EntrypointNotFound',
  'ExecFormat',
  'HandlerInvalid',
  'Unauthorized',
  'BadRequest',
  'ConfigInvalid',
]);

const TRIES_MAX = 4;

/** No node, or none that answers: what a node agent that is just restarting looks like. */
const PASSING: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['NodeUnavailable', 'ShuttingDown']);

export interface StartOptions {
  revision: RevisionRecord;
  /** Nodes of the start allowance, best first, as they are now. */
  nodes(): readonly string[];
  isAlive(node: string): boolean;
  start(node: string, request: StartInstanceRequest): Promise<InstanceRecord>;
  onTryFailed(node: string, error: HearthError): void;
  /** Resolves when it is worth to look for nodes again; false: no longer. */
  pause(): Promise<boolean>;
}

/**
 * Starts an instance on the first node that can: the nodes in their order while the fault is the
 * node's, one second try where it may be the function's. Where no node answers it waits for one, as
 * long as `pause` says: a daemon that restarts costs its callers time, not answers.
 * @throws HearthError NoCapacity, or the agent's own with the last log lines
 */
export async function startInstance(options: StartOptions): Promise<InstanceRecord> {
  for (;;) {
    const outcome = await tryNodes(options);
    if ('started' in outcome) return outcome.started;
    const { last } = outcome;
    if (last !== undefined && !isNodeFault(last)) throw last;
    const mayPass = last === undefined || PASSING.has(last.code);
    if (!mayPass || !(await options.pause())) throw noCapacity(options.revision, last);
  }
}

type Outcome = { started: InstanceRecord } | { last: HearthError | undefined };

async function tryNodes(options: StartOptions): Promise<Outcome> {
  let last: HearthError | undefined;
  let functionFaults = 0;
  for (const node of nodePath(options.nodes(), options.isAlive)) {
    try {
      return { started: await options.start(node, startRequest(options.revision, 'cold')) };
    } catch (error) {
      last = toHearthError(error);
      options.onTryFailed(node, last);
      if (FINAL.has(last.code)) break;
      if (!isNodeFault(last) && ++functionFaults === 2) break;
    }
  }
  return { last };
}

/** The live nodes in order, the first once more when it is the only one. */
export function nodePath(nodes: readonly string[], isAlive: (node: string) => boolean): string[] {
  const alive = nodes.filter(isAlive).slice(0, TRIES_MAX);
  const only = alive.length === 1 ? alive[0] : undefined;
  return only === undefined ? alive : [only, only];
}

function noCapacity(revision: RevisionRecord, last: HearthError | undefined): HearthError {
  const why = last === undefined ? 'no node may start it' : `${last.code}: ${last.message}`;
  return new HearthError(
    'NoCapacity',
    `cannot start an instance of "${revision.functionName}": ${why}`,
    {
      hint: last?.hint ?? 'check that a node agent runs: GET /v1/system',
      details: { ...last?.details, retryAfterMs: 1000 },
    },
  );
}
