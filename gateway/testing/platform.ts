import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Config, loadConfig } from '../../lib/config.ts';
import type { Daemon } from '../../lib/daemon.ts';
import { sha256 } from '../../lib/digest.ts';
import type { FunctionRecord, RevisionRecord, RolloutRecord } from '../../lib/records.ts';
import { defaultSpec } from '../../lib/spec/defaults.ts';
import type { FunctionSpec } from '../../lib/spec/spec.ts';
import { createRedisStore } from '../../lib/store/redis.ts';
import type { Store } from '../../lib/store/store.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { startRedis, type TestRedis } from '../../lib/testing/redis.ts';
import { startGateway } from '../daemon.ts';
import { FakeAgent, type FakeAgentOptions } from './fake-agent.ts';

export interface PlatformOptions extends Omit<FakeAgentOptions, 'store'> {
  gateways?: number;
}

/** A real Redis, a fake agent and real gateways. */
export class TestPlatform {
  readonly redis: TestRedis;
  readonly store: Store;
  readonly agent: FakeAgent;
  readonly config: Config;
  gateways: Daemon[] = [];
  readonly #dir: string;

  private constructor(redis: TestRedis, options: PlatformOptions) {
    this.redis = redis;
    this.store = createRedisStore({ url: redis.url, prefix: 'h', log: silentLog() });
    this.agent = new FakeAgent({ ...options, store: this.store });
    this.#dir = mkdtempSync(join(tmpdir(), 'hearth-gateway-'));
    this.config = loadConfig({
      argv: [],
      env: {
        HEARTH_CONFIG: undefined,
        HEARTH_DATA_ROOT: this.#dir,
        HEARTH_REDIS_URL: redis.url,
        HEARTH_STORE_PREFIX: 'h',
        HEARTH_REGISTRY_URL: 'http://127.0.0.1:9',
        HEARTH_NAME: 'g1',
      },
    });
  }

  static async start(options: PlatformOptions): Promise<TestPlatform> {
    const platform = new TestPlatform(await startRedis(), options);
    try {
      await platform.agent.listen();
      for (let i = 1; i <= (options.gateways ?? 1); i++) {
        const config = { ...platform.config, name: `g${i}` };
        platform.gateways.push(await startGateway(config, silentLog(), { processMetrics: false }));
      }
      return platform;
    } catch (error) {
      await platform.stop();
      throw error;
    }
  }

  /** Base URL of the first gateway. */
  get url(): string {
    return this.gateways[0]?.addresses.api ?? '';
  }

  /** Puts a function that is ready on `generation`, as a finished deploy would have left it. */
  async deploy(name: string, change: Partial<FunctionSpec> = {}, generation = 1): Promise<void> {
    const spec = { ...defaultSpec(name), ...change };
    const records = recordsOf(spec, generation, [this.agent.name]);
    await this.store.put('revision', records.revision.id, records.revision);
    await this.store.put('rollout', records.revision.id, records.rollout);
    await this.store.put('function', name, records.function);
    await this.settled(name, generation);
  }

  /** Until the gateways route to `generation`. */
  async settled(name: string, generation: number): Promise<void> {
    const token = await this.token();
    for (const { addresses } of this.gateways) {
      await until(async () => {
        const response = await fetch(`${addresses.api}/v1/functions`, {
          headers: { authorization: `Bearer ${token}` },
        });
        const { functions } = (await response.json()) as { functions: FunctionRecord[] };
        return functions.some((row) => row.name === name && row.generation === generation);
      });
    }
  }

  async token(): Promise<string> {
    const { readSecret } = await import('../../lib/secrets.ts');
    return readSecret(this.config.dataRoot, 'token');
  }

  async stop(): Promise<void> {
    await Promise.allSettled(this.gateways.map((gateway) => gateway.stop()));
    await this.agent.stop();
    await this.store.close();
    await this.redis.stop();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

export interface Records {
  function: FunctionRecord;
  revision: RevisionRecord;
  rollout: RolloutRecord;
}

/** The records of a function whose deploy has ended well. */
export function recordsOf(spec: FunctionSpec, generation: number, nodes: string[]): Records {
  const { name } = spec;
  const id = `${name}-${String(generation).padStart(5, '0')}`;
  const nowMs = Date.now();
  const digest = sha256(id);
  return {
    revision: {
      id,
      functionName: name,
      generation,
      buildId: `b-${generation}`,
      image: { repository: `functions/${name}`, digest },
      contract: 'socket',
      spec,
      createdAtMs: nowMs,
    },
    rollout: {
      revisionId: id,
      functionName: name,
      state: 'ready',
      nodes,
      desired: 0,
      updatedAtMs: nowMs,
    },
    function: {
      name,
      generation,
      spec,
      contextDigest: digest,
      buildId: `b-${generation}`,
      state: 'ready',
      traffic: [{ revisionId: id, percent: 100 }],
      createdAtMs: nowMs,
      updatedAtMs: nowMs,
    },
  };
}

/** Waits until `check` is true, looking often. @throws Error after `waitMsMax` */
export async function until(check: () => boolean | Promise<boolean>, waitMsMax = 10_000) {
  const giveUpMs = performance.now() + waitMsMax;
  while (!(await check())) {
    if (performance.now() > giveUpMs) throw new Error('waited in vain');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
