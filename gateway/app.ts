import { METHODS, type ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import { HearthError } from '../lib/errors.ts';
import { createApiServer } from '../lib/http/server.ts';
import type { BuildJob } from '../lib/jobs.ts';
import { LIMITS } from '../lib/limits.ts';
import type { Registry } from '../lib/oci/registry.ts';
import type { InstanceRecord, RevisionRecord } from '../lib/records.ts';
import type { Store } from '../lib/store/store.ts';
import type { Log } from '../lib/telemetry/log.ts';
import type { Metrics } from '../lib/telemetry/metrics.ts';
import { Agents } from './agents.ts';
import { addBuildRoutes } from './api/builds.ts';
import { addFunctionRoutes } from './api/functions.ts';
import { addLogRoutes } from './api/logs.ts';
import { addRegistryProxy } from './api/registry-proxy.ts';
import { addSystemRoutes } from './api/system.ts';
import { addUploadRoutes } from './api/uploads.ts';
import { Deploys } from './deploys.ts';
import { Drain } from './drain.ts';
import { createInvoke, type Invoke } from './invoke/invoke.ts';
import { FUNCTION_PREFIX } from './invoke/target.ts';
import { Upstreams } from './invoke/upstreams.ts';
import { GatewayMetrics, type PoolSums, watchPools } from './metrics.ts';
import { Mirror } from './mirror.ts';
import { addNodeRoutes } from './nodes/routes.ts';
import { Pools } from './pool/pools.ts';
import { startInstance } from './start-instance.ts';

export interface GatewayOptions {
  /** The gateway's name among its like. */
  name: string;
  store: Store;
  registry: Registry;
  registryUrl: string;
  enqueueBuild(job: BuildJob): Promise<void>;
  userToken: string;
  clusterToken: string;
  /** Base URL that users see. */
  publicUrl(): string;
  log: Log;
  metrics: Metrics;
}

/** The gateway's parts, wired; no port is open and nothing runs by itself but `deploys`. */
export interface Gateway {
  app: FastifyInstance;
  mirror: Mirror;
  pools: Pools;
  upstreams: Upstreams;
  agents: Agents;
  deploys: Deploys;
  /** Aborted when the gateway stops: streams end, connections close after their answer. */
  stopping: AbortController;
  /** Aborted last: the mirror follows the store and releases are told until then. */
  following: AbortController;
}

/** Every invocation is one route of the router, whatever its name and path. */
const INVOKE_ROUTE = '/function/_';

/** Builds every part of the gateway. */
export function createGateway(options: GatewayOptions): Gateway {
  const { name, store, clusterToken, log, metrics } = options;
  const stopping = new AbortController();
  const following = new AbortController();
  const mirror = new Mirror();
  const gatewayMetrics = new GatewayMetrics(metrics);
  const upstreams = new Upstreams();
  const agents = new Agents({ mirror, clusterToken });
  const pools: Pools = new Pools({
    mirror,
    start: (revision) => startFor({ mirror, agents, metrics: gatewayMetrics, log }, revision),
    onDrained: (id) => drain.check(id),
  });
  // Listens after the pools, so that an instance is leased no more when its agent is told so.
  const { signal } = stopping;
  const drain = new Drain({ mirror, pools, agents, gateway: name, log, signal: following.signal });
  mirror.onChange((change) => {
    if (change.kind === 'instance' && change.record === undefined) upstreams.remove(change.id);
  });
  const urlOf = (functionName: string): string =>
    `${options.publicUrl()}${FUNCTION_PREFIX}${functionName}`;
  const deploys = new Deploys({ store, mirror, urlOf, log });
  watchPools(metrics, () => sumPools(pools));
  const invoke = createInvoke({
    mirror,
    pools,
    upstreams,
    metrics: gatewayMetrics,
    log,
    whyEnded: (record) => agents.whyEnded(record),
    isStopping: () => signal.aborted,
  });
  const app = createApp(options, { mirror, invoke, stopping: signal });
  const parts = { ...options, mirror, pools, agents, urlOf, stopping: signal, gateway: name };
  addUploadRoutes(app, options.registry);
  addFunctionRoutes(app, parts);
  addBuildRoutes(app, parts);
  addLogRoutes(app, parts);
  addNodeRoutes(app, parts);
  addSystemRoutes(app, parts);
  if (options.registryUrl !== '') addRegistryProxy(app, options);
  return { app, mirror, pools, upstreams, agents, deploys, stopping, following };
}

interface AppParts {
  mirror: Mirror;
  invoke: Invoke;
  stopping: AbortSignal;
}

function createApp(options: GatewayOptions, parts: AppParts): FastifyInstance {
  const { mirror, invoke, stopping } = parts;
  const app = createApiServer({
    log: options.log,
    metrics: options.metrics,
    token: options.userToken,
    rewriteUrl: (url) => (url.startsWith(FUNCTION_PREFIX) ? INVOKE_ROUTE : url),
    // The registry asks for the token itself, as its clients send it in another way.
    isOpen: ({ url }) => url === INVOKE_ROUTE || url === '/v2' || url.startsWith('/v2/'),
    ready: async () => {
      if (mirror.isReady && !stopping.aborted) return;
      throw new HearthError('PlatformUnavailable', 'the gateway does not serve now');
    },
  });
  takeInvocations(app, invoke);
  app.addHook('onSend', async (_request, reply) => {
    if (stopping.aborted) void reply.header('connection', 'close');
  });
  return app;
}

/**
 * Takes invocations out of the router before a body is parsed or a header judged: what a function
 * is sent is between its caller and it.
 */
function takeInvocations(app: FastifyInstance, invoke: Invoke): void {
  for (const method of METHODS) {
    const isKnown = app.supportedMethods.includes(method) || method === 'CONNECT';
    if (!isKnown) app.addHttpMethod(method, { hasBody: true });
  }
  app.route({
    method: app.supportedMethods,
    url: INVOKE_ROUTE,
    onRequest: (request, reply) => {
      reply.hijack();
      invoke(request.raw, reply.raw, request.originalUrl);
    },
    handler: () => undefined,
  });
  app.server.on('checkContinue', (request, response: ServerResponse) => {
    // An invocation says so itself once there is somebody to read the body.
    if (!request.url?.startsWith(FUNCTION_PREFIX)) response.writeContinue();
    app.routing(request, response);
  });
}

/** How often a start without a node looks for one. */
const NODE_POLL_MS = 50;

interface StartParts {
  mirror: Mirror;
  agents: Agents;
  metrics: GatewayMetrics;
  log: Log;
}

async function startFor(parts: StartParts, revision: RevisionRecord): Promise<InstanceRecord> {
  const { mirror, agents, metrics, log } = parts;
  const { functionName } = revision;
  const endMs = performance.now() + LIMITS.nodeWaitMs;
  const record = await startInstance({
    revision,
    nodes: () => mirror.get('rollout', revision.id)?.nodes ?? [],
    isAlive: (node) => agents.isAlive(node),
    start: (node, request) => agents.start(node, request),
    onTryFailed: (node, error) => {
      metrics.startFailed(functionName, error.code);
      log.warn({ node, functionName, code: error.code, err: error.message }, 'start failed');
    },
    pause: () => delay(NODE_POLL_MS, performance.now() < endMs),
  });
  metrics.started(record);
  log.info({ instanceId: record.id, functionName, phases: record.phases }, 'instance started');
  if (mirror.get('function', functionName) === undefined) {
    await agents.drain(record, { reason: 'function deleted' });
  }
  return record;
}

function sumPools(pools: Pools): PoolSums {
  const sums: PoolSums = { running: 0, waiting: 0, starting: 0, ready: 0, draining: 0 };
  for (const { pool, starting } of pools.all()) {
    sums.running += pool.running;
    sums.waiting += pool.waiting;
    sums.starting += starting;
    sums.ready += pool.live;
    sums.draining += pool.size - pool.live;
  }
  return sums;
}
