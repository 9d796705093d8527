import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Config } from '../lib/config.ts';
import type { Daemon } from '../lib/daemon.ts';
import { HearthError } from '../lib/errors.ts';
import { createApiServer } from '../lib/http/server.ts';
import { LIMITS } from '../lib/limits.ts';
import { createRegistryClient } from '../lib/oci/registry-client.ts';
import { createQueues, createWorker } from '../lib/queue.ts';
import { readSecret } from '../lib/secrets.ts';
import { createRedisStore } from '../lib/store/redis.ts';
import type { Log } from '../lib/telemetry/log.ts';
import { Metrics } from '../lib/telemetry/metrics.ts';
import { createEngine } from '../node-agent/engine/engine.ts';
import type { Engine } from '../node-agent/engine/engine-types.ts';
import { resolvConf } from '../node-agent/engine/network/resolvers.ts';
import { imagesFolder } from '../node-agent/images/image-store.ts';
import { BaseImages } from './base-images/base-image.ts';
import { ImageSources } from './image/image-sources.ts';
import { LayerStore } from './layers/layer-store.ts';
import { startRegistry } from './registry/server.ts';
import { createBuilderMetrics } from './worker/builder-metrics.ts';
import { CancelWatch } from './worker/cancel-watch.ts';
import { IdleTidy } from './worker/idle-tidy.ts';
import { runBuild } from './worker/run-build.ts';

const BUILDS_AT_ONCE = 2;
/** Each build step has one container. */
const NETWORK_SLOTS = 2;

/** What takes apart what was put together, in reverse order. */
class Undo {
  readonly #steps: (() => unknown)[] = [];

  add(step: () => unknown): void {
    this.#steps.unshift(step);
  }

  /** Does all steps, whatever fails. */
  async run(log: Log): Promise<void> {
    for (const step of this.#steps.splice(0)) {
      try {
        await step();
      } catch (error) {
        log.warn({ err: error }, 'not taken apart cleanly');
      }
    }
  }
}

/**
 * Starts a builder: the embedded registry, an engine for RUN steps, and the worker of the queue
 * `builds`. What an earlier process left half made is removed first.
 * @throws HearthError ConfigInvalid, KernelUnsupported; nothing is left running then
 */
export async function startBuilder(config: Config, log: Log): Promise<Daemon> {
  const undo = new Undo();
  try {
    const addresses = await open(config, log, undo);
    return { addresses, stop: () => undo.run(log) };
  } catch (error) {
    await undo.run(log);
    throw error;
  }
}

async function open(config: Config, log: Log, undo: Undo): Promise<Record<string, string>> {
  const { dataRoot } = config;
  const dir = join(dataRoot, 'builder');
  mkdirSync(dataRoot, { recursive: true, mode: 0o711 });
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const token = readSecret(dataRoot, 'cluster-token');
  const metrics = new Metrics();
  const redis = { url: required('redisUrl', config.redisUrl), prefix: config.storePrefix, log };
  const store = createRedisStore(redis);
  undo.add(() => store.close());
  const queues = createQueues(redis);
  undo.add(() => queues.close());
  const registryUrl = await openRegistry(config, { log, metrics, token, undo });
  const registry = createRegistryClient({ baseUrl: registryUrl, token });
  undo.add(() => registry.close());
  const engine = await openEngine(config, dir, { log, undo });
  const layers = new LayerStore(join(dir, 'cache'));
  await layers.init();
  const stopping = new AbortController();
  const { signal } = stopping;
  const baseImages = new BaseImages({ dir: join(dir, 'base-images'), registry, log, signal });
  const images = new ImageSources({ registry, baseImages, dir: imagesFolder(dataRoot), log });
  undo.add(() => images.close());
  const cancels = new CancelWatch(store, log);
  undo.add(() => cancels.close());
  const app = createApiServer({
    log,
    metrics,
    token,
    ready: async () => {
      await Promise.all([store.ping(), registry.ping()]);
    },
  });
  undo.add(() => app.close());
  await app.listen({ host: config.host, port: config.port });
  const parts = {
    builder: { registry, images, layers, engine, resolvConf: resolvConf() },
    store,
    queues,
    cancels,
    metrics: createBuilderMetrics(metrics),
    log,
  };
  const warmed = warmUp(images, log);
  undo.add(() => warmed);
  const tidy = new IdleTidy(() => layers.prune(LIMITS.buildLayersKeptMax));
  const worker = createWorker(
    'builds',
    (job, closing) => tidy.during(() => runBuild(parts, job, closing)),
    { ...redis, concurrency: BUILDS_AT_ONCE },
  );
  undo.add(() => {
    const closed = worker.close();
    // Builds first: one that waits for a base image then knows why it gets none.
    stopping.abort(new HearthError('ShuttingDown', 'the builder stops'));
    return closed;
  });
  const { port } = app.server.address() as AddressInfo;
  const api = config.advertiseUrl || `http://${config.host}:${port}`;
  return { api, registry: registryUrl };
}

/** Makes the image that most first builds need, meanwhile. */
async function warmUp(images: ImageSources, log: Log): Promise<void> {
  try {
    await (await images.find('hearth/node:24')).folders();
  } catch (error) {
    log.debug({ err: error }, 'base image not made ahead');
  }
}

interface OpenOptions {
  log: Log;
  undo: Undo;
}

/** Base URL of the platform's registry: the embedded one, unless another is configured. */
async function openRegistry(
  config: Config,
  { log, metrics, token, undo }: OpenOptions & { metrics: Metrics; token: string },
): Promise<string> {
  const { registryUrl, registryPort } = config;
  // The same port means the embedded one, by whatever name others reach it.
  const isOther = registryUrl !== '' && portOf(registryUrl) !== registryPort;
  if (isOther) return registryUrl;
  const server = await startRegistry({
    dir: join(config.dataRoot, 'registry'),
    log,
    metrics,
    token,
    host: config.host,
    port: registryPort,
  });
  undo.add(() => server.close());
  return server.url;
}

function portOf(url: string): number {
  const { port, protocol } = new URL(url);
  if (port !== '') return Number(port);
  return protocol === 'https:' ? 443 : 80;
}

async function openEngine(
  config: Config,
  dir: string,
  { log, undo }: OpenOptions,
): Promise<Engine> {
  const engine = await createEngine({
    name: engineName(config.dataRoot),
    stateDir: join(dir, 'engine'),
    subnet: config.subnet,
    uidBase: config.uidBase,
    networkSlots: NETWORK_SLOTS,
    log,
  });
  undo.add(() => engine.close());
  // A build step does not outlive the builder that waits for it.
  for (const container of await engine.adopt()) {
    await container.kill();
    await container.remove();
  }
  return engine;
}

/** Two platforms on one machine have two data roots. */
function engineName(dataRoot: string): string {
  return `b${createHash('sha256').update(dataRoot).digest('hex').slice(0, 7)}`;
}

function required(key: string, value: string): string {
  if (value !== '') return value;
  throw new HearthError('ConfigInvalid', `${key} is not set`, {
    hint: 'hearth up sets it; a daemon alone takes it from its flags, environment or file',
  });
}
