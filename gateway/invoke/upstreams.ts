import { Pool } from 'undici';
import { LIMITS } from '../../lib/limits.ts';
import type { InstanceEndpoint } from '../../lib/records.ts';

const CONNECT_MS_MAX = 2_000;
/** Below the 5 s after which Node's own servers close an idle connection. */
const KEEP_ALIVE_MS = 4_000;

/** The connections to instances: one dispatcher each, closed with the instance. */
export class Upstreams {
  readonly #pools = new Map<string, Pool>();

  /** The dispatcher of an instance, made with its first request. */
  of(id: string, endpoint: InstanceEndpoint): Pool {
    const known = this.#pools.get(id);
    if (known !== undefined) return known;
    const pool = open(endpoint);
    this.#pools.set(id, pool);
    return pool;
  }

  /** Closes what is idle now and the rest when its requests have ended. */
  remove(id: string): void {
    const pool = this.#pools.get(id);
    this.#pools.delete(id);
    void pool?.close();
  }

  get size(): number {
    return this.#pools.size;
  }

  async close(): Promise<void> {
    const pools = [...this.#pools.values()];
    this.#pools.clear();
    await Promise.all(pools.map((pool) => pool.destroy()));
  }
}

function open(endpoint: InstanceEndpoint): Pool {
  const options = {
    pipelining: 1,
    keepAliveTimeout: KEEP_ALIVE_MS,
    headersTimeout: 0,
    bodyTimeout: 0,
    maxHeaderSize: LIMITS.headerBytesMax,
    allowH2: false,
  };
  if (endpoint.kind === 'unix') {
    const connect = { socketPath: endpoint.path, timeout: CONNECT_MS_MAX };
    return new Pool('http://localhost', { ...options, connect });
  }
  const host = endpoint.host.includes(':') ? `[${endpoint.host}]` : endpoint.host;
  return new Pool(`http://${host}:${endpoint.port}`, {
    ...options,
    connect: { timeout: CONNECT_MS_MAX },
  });
}
