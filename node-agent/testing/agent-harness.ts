import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Config, loadConfig } from '../../lib/config.ts';
import type { Daemon } from '../../lib/daemon.ts';
import { HttpClient } from '../../lib/http/client.ts';
import { MIB } from '../../lib/limits.ts';
import { readSecret } from '../../lib/secrets.ts';
import { createRedisStore } from '../../lib/store/redis.ts';
import type { Store } from '../../lib/store/store.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { startRedis, type TestRedis } from '../../lib/testing/redis.ts';
import { runAgent } from '../agent.ts';
import type { StartInstanceRequest } from '../api/types.ts';
import type { ImageStore } from '../images/image-store-types.ts';
import { LISTEN_PATH, ProcessEngine } from './process-engine.ts';

/** A running agent over plain processes and a real Redis of its own. */
export interface TestAgent {
  config: Config;
  client: HttpClient;
  engine: ProcessEngine;
  redis: TestRedis;
  store: Store;
  daemon: Daemon;
  /** Stops the agent; its folder stays until `end`. */
  stop(): Promise<void>;
  end(): Promise<void>;
}

export const NODE_MEMORY_BYTES = 1024 * MIB;

/** Starts one. */
export async function startTestAgent(): Promise<TestAgent> {
  const dataRoot = mkdtempSync(join(tmpdir(), 'ha-'));
  const redis = await startRedis();
  const env = { HEARTH_DATA_ROOT: dataRoot, HEARTH_NAME: 'n1', HEARTH_REDIS_URL: redis.url };
  const config = loadConfig({ argv: [], env });
  const store = createRedisStore({ url: redis.url, prefix: 't', log: silentLog() });
  const engine = new ProcessEngine();
  const daemon = await runAgent(config, silentLog(), {
    engine,
    images: scriptImages,
    store,
    resolvConf: '',
    nodeMemoryBytes: NODE_MEMORY_BYTES,
  });
  const client = new HttpClient({
    baseUrl: daemon.addresses.api ?? '',
    token: readSecret(dataRoot, 'cluster-token'),
    peer: 'node agent',
  });
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    stopped ??= daemon.stop();
    return stopped;
  };
  const end = async (): Promise<void> => {
    await client.close();
    await stop();
    await engine.close();
    await store.close();
    await redis.stop();
    rmSync(dataRoot, { recursive: true, force: true });
  };
  return { config, client, engine, redis, store, daemon, stop, end };
}

/** The script is the image: its text comes back out of the environment of the start. */
const scriptImages: ImageStore = {
  has: async () => true,
  async ensure(ref) {
    const Entrypoint = [process.execPath, '-e', 'eval(process.env.SCRIPT)'];
    const config = {
      architecture: 'amd64',
      os: 'linux',
      config: { Entrypoint },
      rootfs: { type: 'layers' as const, diff_ids: [] },
    };
    return { image: { ref, config, layers: [] }, pulled: false, pullMs: 0 };
  },
};

/** A start of a guest that runs `script`. */
export function startRequest(
  script: string,
  overrides: Partial<StartInstanceRequest> = {},
): StartInstanceRequest {
  return {
    functionName: 'hello',
    revisionId: 'hello-00001',
    image: { repository: 'functions/hello', digest: `sha256:${'a'.repeat(64)}` },
    contract: 'socket',
    reason: 'cold',
    port: 8080,
    memoryBytes: 64 * MIB,
    cpuMillis: 100,
    pids: 10,
    timeoutMs: 1_000,
    startTimeoutMs: 5_000,
    graceMs: 5_000,
    concurrency: 1,
    ...overrides,
    env: { SCRIPT: script, ...overrides.env },
  };
}

/** A guest of the `socket` contract; `more` runs after it said that it is ready. */
export function servingScript(more = ''): string {
  return `
    const http = require('node:http');
    http.createServer((q, r) => r.end('hello from ' + process.env.HEARTH_INSTANCE))
      .listen(process.env.${LISTEN_PATH}, () => {
        require('node:fs').writeSync(4, JSON.stringify({ ready: true, importMs: 1.5 }) + '\\n');
        ${more}
      });`;
}

/** Waits until `check` is true; the test's own timeout bounds it. */
export async function until(check: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 2_000; i++) {
    if (await check()) return;
    await delay(10);
  }
  throw new Error(`condition not met within 20 s: ${check}`);
}
