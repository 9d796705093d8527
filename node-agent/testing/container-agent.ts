import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Config, loadConfig } from '../../lib/config.ts';
import type { ContainerInfo, RunContainerRequest } from '../../lib/container-api.ts';
import type { Daemon } from '../../lib/daemon.ts';
import { HttpClient } from '../../lib/http/client.ts';
import type { LogLine } from '../../lib/log-line.ts';
import { readSecret } from '../../lib/secrets.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { startRedis, type TestRedis } from '../../lib/testing/redis.ts';
import type { AgentParts } from '../agent.ts';
import { startNodeAgent } from '../daemon.ts';
import { SmallRegistry } from './small-registry.ts';

/** Memory of the test's node: 80 % of it is for containers. */
const NODE_MEMORY_BYTES = 1024 ** 3;

/** A node agent over real containers, with a registry and a Redis of its own. */
export class ContainerAgent {
  readonly root: string;
  readonly registry: SmallRegistry;
  readonly config: Config;
  readonly #redis: TestRedis;
  #daemon: Daemon | undefined;
  client!: HttpClient;

  private constructor(parts: {
    root: string;
    registry: SmallRegistry;
    config: Config;
    redis: TestRedis;
  }) {
    this.root = parts.root;
    this.registry = parts.registry;
    this.config = parts.config;
    this.#redis = parts.redis;
  }

  /** `number` keeps the addresses and ids of two of them apart: 0 to 15. */
  static async start(number: number, overrides: Partial<AgentParts> = {}): Promise<ContainerAgent> {
    const root = mkdtempSync(join(tmpdir(), 'hca-'));
    const registry = new SmallRegistry();
    await registry.listen();
    await registry.addBusybox('busybox:1', { Cmd: ['sh', '-c', 'echo from the image'] });
    const redis = await startRedis();
    const config = loadConfig({
      argv: [],
      env: {
        HEARTH_DATA_ROOT: join(root, 'data'),
        HEARTH_NAME: `c${number}`,
        HEARTH_REDIS_URL: redis.url,
        HEARTH_REGISTRY_URL: registry.url,
        HEARTH_STORE_PREFIX: 't',
        HEARTH_SUBNET: `10.96.${number * 16}.0/20`,
        HEARTH_UID_BASE: String(0x5800_0000 + number * 0x40_0000),
      },
    });
    const agent = new ContainerAgent({ root, registry, config, redis });
    await agent.open(overrides);
    return agent;
  }

  /** Starts the agent again over the same state. */
  async open(overrides: Partial<AgentParts> = {}): Promise<void> {
    const nodeMemoryBytes = NODE_MEMORY_BYTES;
    this.#daemon = await startNodeAgent(this.config, silentLog(), {
      nodeMemoryBytes,
      ...overrides,
    });
    this.client = new HttpClient({
      baseUrl: this.url,
      token: this.token,
      peer: 'node agent',
      headersTimeoutMs: 0,
    });
  }

  get url(): string {
    return this.#daemon?.addresses.api ?? '';
  }

  get token(): string {
    return readSecret(this.config.dataRoot, 'cluster-token');
  }

  /** Runs busybox's sh with `script`. */
  sh(script: string, more: Partial<RunContainerRequest> = {}): Promise<ContainerInfo> {
    return this.run({ image: 'busybox:1', command: ['sh', '-c', script], ...more });
  }

  run(body: object): Promise<ContainerInfo> {
    return this.client.json<ContainerInfo>('/v1/containers', { method: 'POST', body });
  }

  post<T = ContainerInfo>(
    id: string,
    action: string,
    query: Record<string, string | number> = {},
  ): Promise<T> {
    return this.client.json<T>(`/v1/containers/${id}/${action}`, { method: 'POST', query });
  }

  get<T = ContainerInfo>(id: string, action = ''): Promise<T> {
    return this.client.json<T>(`/v1/containers/${id}${action}`);
  }

  async remove(id: string, force = false): Promise<void> {
    const query = force ? { force: 1 } : {};
    await this.client.json(`/v1/containers/${id}`, { method: 'DELETE', query });
  }

  /** Lines of its log. */
  async logs(id: string, query: Record<string, string | number> = {}): Promise<LogLine[]> {
    const lines: LogLine[] = [];
    const path = `/v1/containers/${id}/logs`;
    for await (const line of this.client.lines<LogLine>(path, { query })) lines.push(line);
    return lines;
  }

  async texts(id: string): Promise<string[]> {
    return (await this.logs(id)).map(({ text }) => text);
  }

  /** Ends the agent; its state stays. */
  async close(): Promise<void> {
    await this.client.close();
    await this.#daemon?.stop();
    this.#daemon = undefined;
  }

  /** Leaves nothing. */
  async end(): Promise<void> {
    await this.close();
    this.registry.close();
    await this.#redis.stop();
    rmSync(this.root, { recursive: true, force: true });
  }
}
