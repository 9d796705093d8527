import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Config } from '../lib/config.ts';
import type { Daemon } from '../lib/daemon.ts';
import { HearthError } from '../lib/errors.ts';
import { createRegistryClient } from '../lib/oci/registry-client.ts';
import { createQueues } from '../lib/queue.ts';
import { readSecret } from '../lib/secrets.ts';
import { createRedisStore } from '../lib/store/redis.ts';
import type { Log } from '../lib/telemetry/log.ts';
import { Metrics } from '../lib/telemetry/metrics.ts';
import { createGateway, type Gateway } from './app.ts';
import { followStore } from './mirror.ts';
import { Publisher } from './publisher.ts';

/** How long requests under way may go on after the gateway was asked to stop. */
const FINISH_MS_MAX = 30_000;
/** How long the first snapshot of the store may take. */
const SNAPSHOT_MS_MAX = 30_000;

export interface StartOptions {
  /** Tests take none, as many gateways share one process. */
  processMetrics?: boolean;
}

/**
 * Starts a gateway. It listens first, so that its address is known, and is ready once it has told
 * its heartbeat, which agents look at before they end an instance, and has read the store.
 */
export async function startGateway(
  config: Config,
  log: Log,
  options: StartOptions = {},
): Promise<Daemon> {
  if (config.registryUrl === '')
    throw new HearthError('ConfigInvalid', '--registry-url must be given');
  const clusterToken = readSecret(config.dataRoot, 'cluster-token');
  const redis = { url: config.redisUrl, prefix: config.storePrefix, log };
  const store = createRedisStore(redis);
  const queues = createQueues(redis);
  const registry = createRegistryClient({ baseUrl: config.registryUrl, token: clusterToken });
  let address = '';
  const gateway = createGateway({
    name: config.name,
    store,
    registry,
    registryUrl: config.registryUrl,
    enqueueBuild: (job) => queues.add('builds', job, { jobId: job.buildId }),
    userToken: readSecret(config.dataRoot, 'token'),
    clusterToken,
    publicUrl: () => (config.publicUrl === '' ? address : config.publicUrl.replace(/\/$/, '')),
    log,
    metrics: new Metrics({ processMetrics: options.processMetrics ?? true }),
  });
  const publisher = new Publisher({
    store,
    pools: gateway.pools,
    gateway: config.name,
    address: () => address,
    log,
  });
  const closeAll = async (): Promise<void> => {
    await Promise.allSettled([queues.close(), registry.close(), store.close()]);
  };
  const stop = async (): Promise<void> => {
    await finishRequests(gateway);
    await publisher.stop();
    await stopParts(gateway);
    await closeAll();
  };
  try {
    address = await listen(gateway, config);
    await publisher.start();
    await firstSnapshot(gateway, () =>
      followStore({ store, mirror: gateway.mirror, signal: gateway.following.signal, log }),
    );
  } catch (error) {
    await stop();
    throw error;
  }
  return { addresses: { api: address }, stop };
}

async function listen({ app }: Gateway, config: Config): Promise<string> {
  await app.listen({ host: config.host, port: config.port });
  const { address, port, family } = app.server.address() as AddressInfo;
  const isAny = address === '0.0.0.0' || address === '::';
  const host = isAny ? '127.0.0.1' : address;
  return `http://${family === 'IPv6' && !isAny ? `[${host}]` : host}:${port}`;
}

async function firstSnapshot({ mirror }: Gateway, follow: () => Promise<void>): Promise<void> {
  void follow();
  const giveUpMs = performance.now() + SNAPSHOT_MS_MAX;
  while (!mirror.isReady) {
    if (performance.now() > giveUpMs) {
      throw new HearthError('StoreUnavailable', 'the store did not answer in time');
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Takes no new connection, closes the idle ones, and waits for the rest to be answered. */
async function finishRequests({ app, stopping }: Gateway): Promise<void> {
  stopping.abort();
  const server = app.server as Server;
  if (!server.listening) return;
  const closed = once(server, 'close');
  server.close();
  const timer = setTimeout(() => server.closeAllConnections(), FINISH_MS_MAX);
  await closed;
  clearTimeout(timer);
}

async function stopParts(gateway: Gateway): Promise<void> {
  gateway.deploys.stop();
  gateway.pools.close();
  gateway.following.abort();
  await gateway.app.close();
  await gateway.agents.close();
  await gateway.upstreams.close();
}
