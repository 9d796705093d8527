import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Dispatcher } from 'undici';
import { HearthError, toHearthError } from '../../lib/errors.ts';
import { discardRest } from '../../lib/http/discard-rest.ts';
import { LIMITS } from '../../lib/limits.ts';
import type { InstanceRecord, RevisionRecord } from '../../lib/records.ts';
import type { Log } from '../../lib/telemetry/log.ts';
import { formatDuration } from '../../lib/units.ts';
import type { GatewayMetrics } from '../metrics.ts';
import type { Mirror } from '../mirror.ts';
import type { Lease } from '../pool/pool.ts';
import type { Pools } from '../pool/pools.ts';
import { REROUTE, type RevisionPool } from '../pool/revision-pool.ts';
import { pickRevision } from '../route.ts';
import { Call } from './call.ts';
import { failureOf, mayRetry } from './failure.ts';
import { requestHeaders, startTime } from './headers.ts';
import { coldReceipt } from './receipt.ts';
import { isOnThisMachine, sendRefusal } from './refusal.ts';
import { Relay, type RelayEnd } from './relay.ts';
import { RequestBody, requireBodyFits } from './request-body.ts';
import { parseTarget } from './target.ts';
import type { Upstreams } from './upstreams.ts';

export interface InvokeParts {
  mirror: Mirror;
  pools: Pools;
  upstreams: Upstreams;
  metrics: GatewayMetrics;
  log: Log;
  /** Why the instance ended, if somebody knows. */
  whyEnded(record: InstanceRecord): Promise<HearthError | undefined>;
  /** While the gateway stops, connections are closed after their answer. */
  isStopping(): boolean;
}

/** Answers one request for `/function/…`; never rejects. */
export type Invoke = (request: IncomingMessage, response: ServerResponse, url: string) => void;

const REROUTES_MAX = 4;

/** The way of an invocation: route → lease → relay → release, again where nothing was delivered. */
export function createInvoke(parts: InvokeParts): Invoke {
  return (request, response, url) => {
    const call = new Call(request, response, url);
    response.on('close', () => finish(parts, call));
    serve(parts, call).catch((error: unknown) => refuse(parts, call, toHearthError(error)));
  };
}

async function serve(parts: InvokeParts, call: Call): Promise<void> {
  const target = parseTarget(call.url);
  requireBodyFits(call.request, LIMITS.requestBodyBytesMax);
  for (let tries = 1; ; tries++) {
    const { pool, lease } = await placeOf(parts, call, target.name);
    const body = openBody(call);
    let end: RelayEnd;
    try {
      end = await relay(parts, call, { lease, path: target.path, body });
    } finally {
      pool.release(lease);
      body?.destroy();
    }
    if (end.kind === 'answered') return;
    const failed = { error: end.error, sent: end.sent, functionName: target.name };
    if (!end.sent && !(end.error instanceof HearthError)) pool.shun(lease.instance.id);
    const failure = failureOf(failed);
    const crash = await crashOf(parts, lease.instance.id, failure);
    const { isRepeatable } = call;
    const bodyWasRead = body?.hasBeenRead ?? false;
    if (crash !== undefined || !mayRetry({ ...failed, tries, isRepeatable, bodyWasRead })) {
      throw crash ?? failure;
    }
    parts.metrics.retried();
  }
}

/** A slot on an instance of the revision that the traffic names, even if that moves meanwhile. */
async function placeOf(
  parts: InvokeParts,
  call: Call,
  name: string,
): Promise<{ pool: RevisionPool; lease: Lease }> {
  for (let reroutes = 0; reroutes <= REROUTES_MAX; reroutes++) {
    const pool = parts.pools.of(route(parts, call, name));
    const lease = await leaseOf(pool, call);
    if (lease !== undefined) return { pool, lease };
  }
  throw new HearthError('Deploying', `the traffic of "${name}" moves too often to follow`);
}

/**
 * A broken connection in the words of the agent, if it saw the instance end: a request that ended
 * one is not sent to the next.
 */
async function crashOf(
  parts: InvokeParts,
  instanceId: string,
  failure: HearthError,
): Promise<HearthError | undefined> {
  if (failure.code !== 'InstanceCrashed') return undefined;
  const record = instanceOf(parts, instanceId);
  return record === undefined ? undefined : parts.whyEnded(record);
}

function instanceOf(parts: InvokeParts, id: string): InstanceRecord | undefined {
  return parts.mirror.get('instance', id) ?? parts.pools.provisional(id);
}

/** The revision that takes the call. @throws HearthError FunctionNotFound, Deploying, … */
function route(parts: InvokeParts, call: Call, name: string): RevisionRecord {
  const { mirror } = parts;
  if (!mirror.isReady) {
    throw new HearthError('PlatformUnavailable', 'the gateway has not read the functions yet', {
      hint: 'try again after Retry-After',
    });
  }
  const record = mirror.get('function', name);
  if (record !== undefined) call.functionName = name;
  const id = pickRevision(name, record, Math.random());
  const revision = mirror.get('revision', id);
  if (revision === undefined) {
    throw new HearthError('Deploying', `revision "${id}" is not known here yet`);
  }
  call.timeoutMs = revision.spec.timeoutMs;
  return revision;
}

/** A slot, at once or after waiting; `undefined`: the traffic has moved, route again. */
async function leaseOf(pool: RevisionPool, call: Call): Promise<Lease | undefined> {
  const got = pool.acquire(call.deadlineMs);
  if (!('cancel' in got)) return got;
  call.onAbort = got.cancel;
  try {
    return await got.lease;
  } catch (reason) {
    if (reason === REROUTE) return undefined;
    throw reason;
  } finally {
    call.onAbort = undefined;
  }
}

function openBody(call: Call): RequestBody | undefined {
  if (!call.hasBody) return undefined;
  call.continue();
  return new RequestBody(call.request, { bytesMax: LIMITS.requestBodyBytesMax });
}

interface Slot {
  lease: Lease;
  path: string;
  body: RequestBody | undefined;
}

async function relay(parts: InvokeParts, call: Call, slot: Slot): Promise<RelayEnd> {
  const { id } = slot.lease.instance;
  const record = instanceOf(parts, id);
  if (record === undefined) return { kind: 'failed', error: new Error('gone'), sent: false };
  const leasedMs = performance.now();
  const isCold = slot.lease.instance.addedAtMs >= call.startedMs;
  const ownHeaders = (): string[] => {
    clearTimeout(timer);
    const own = ['X-Call-Id', call.id, 'X-Start-Time', startTime(call.startedAtMs)];
    if (isCold) {
      const waitedMs = leasedMs - call.startedMs;
      const appMs = performance.now() - leasedMs;
      own.push('Server-Timing', coldReceipt({ waitedMs, phases: record.phases, appMs }));
      own.push('X-Cold-Start', '1');
    }
    if (parts.isStopping()) own.push('Connection', 'close');
    return own;
  };
  const attempt = new Relay({
    dispatcher: parts.upstreams.of(id, record.endpoint),
    request: dispatchOptions(call, slot),
    response: call.response,
    ownHeaders,
  });
  const timer = setTimeout(() => attempt.abort(timeoutOf(call)), call.deadlineMs - leasedMs);
  call.onAbort = (error) => attempt.abort(error);
  try {
    return await attempt.run();
  } finally {
    clearTimeout(timer);
    call.onAbort = undefined;
  }
}

function dispatchOptions(call: Call, slot: Slot): Dispatcher.DispatchOptions {
  return {
    path: slot.path,
    method: call.request.method as Dispatcher.HttpMethod,
    headers: requestHeaders(call.request.rawHeaders, call.fields),
    body: slot.body ?? null,
  };
}

function timeoutOf(call: Call): HearthError {
  const limit = formatDuration(call.timeoutMs);
  return new HearthError(
    'RequestTimeout',
    `function "${call.functionName}" gave no response within ${limit}`,
    {
      hint: `timeout is ${limit}; raise it in the function's configuration`,
      details: { timeoutMs: call.timeoutMs },
    },
  );
}

function refuse(parts: InvokeParts, call: Call, error: HearthError): void {
  const { response, startedAtMs } = call;
  if (error.code === 'Internal')
    parts.log.error({ err: error, callId: call.id }, 'invocation failed');
  if (error.code === 'Interrupted' || response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  sendRefusal(response, error, {
    callId: call.id,
    startedAtMs,
    isLast: parts.isStopping(),
    showsDetails: isOnThisMachine(call.request),
  });
}

function finish(parts: InvokeParts, call: Call): void {
  const { request, response, functionName } = call;
  discardRest(request);
  const status = response.headersSent ? response.statusCode : 499;
  const durationMs = performance.now() - call.startedMs;
  parts.metrics.finished({ functionName, status, durationMs });
}
