import { HearthError } from '../lib/errors.ts';
import { HttpClient } from '../lib/http/client.ts';
import { LIMITS } from '../lib/limits.ts';
import type { InstanceRecord, NodeRecord } from '../lib/records.ts';
import type {
  DrainRequest,
  InstanceStatus,
  ReleasedRequest,
  StartInstanceAnswer,
  StartInstanceRequest,
} from '../node-agent/api/types.ts';
import type { Mirror } from './mirror.ts';

const WHY_TRIES = 3;
const WHY_PAUSE_MS = 20;
const WHY_MS_MAX = 500;
/** Open answers of one node. */
const STREAMS_MAX = 512;

export interface AgentsOptions {
  mirror: Mirror;
  clusterToken: string;
}

interface Clients {
  address: string;
  client: HttpClient;
  streams: HttpClient;
}

/** The node agents by name of node: persistent clients of each. */
export class Agents {
  readonly #options: AgentsOptions;
  readonly #clients = new Map<string, Clients>();
  readonly #seenAtMs = new Map<string, number>();
  /** Base URLs, also of nodes that have left and whose instances have yet to end. */
  readonly #addresses = new Map<string, string>();
  /** When any heartbeat came, this gateway's own too. */
  #heardMs = 0;

  constructor(options: AgentsOptions) {
    this.#options = options;
    options.mirror.onChange((change) => {
      if (change.kind === 'gateway') this.#heardMs = performance.now();
      if (change.kind === 'node') this.#followNode(change.id, change.record);
      if (change.kind === 'instance' && change.record === undefined) this.#forgetLeft();
    });
  }

  /**
   * Whether a node's heartbeats come, as long as any come: while the store is away none does, and
   * the nodes are as they were.
   */
  isAlive(node: string): boolean {
    const seenAtMs = this.#seenAtMs.get(node);
    return seenAtMs !== undefined && this.#heardMs - seenAtMs < LIMITS.nodeLostMs;
  }

  start(node: string, request: StartInstanceRequest): Promise<StartInstanceAnswer> {
    return this.client(node).json('/v1/instances', { method: 'POST', body: request });
  }

  async drain(instance: InstanceRecord, request: DrainRequest): Promise<void> {
    const path = `/v1/instances/${encodeURIComponent(instance.id)}/drain`;
    await this.client(instance.node).json(path, { method: 'POST', body: request });
  }

  async released(instance: InstanceRecord, request: ReleasedRequest): Promise<void> {
    const path = `/v1/instances/${encodeURIComponent(instance.id)}/released`;
    await this.client(instance.node).json(path, { method: 'POST', body: request });
  }

  /** Why an instance ended, if its agent knows: it may learn of an exit a moment after its callers. */
  async whyEnded(instance: InstanceRecord): Promise<HearthError | undefined> {
    const path = `/v1/instances/${encodeURIComponent(instance.id)}`;
    for (let tries = 0; tries < WHY_TRIES; tries++) {
      try {
        const signal = AbortSignal.timeout(WHY_MS_MAX);
        const status = await this.client(instance.node).json<InstanceStatus>(path, { signal });
        if (status.error !== undefined) return HearthError.fromBody(status.error);
      } catch {
        return undefined;
      }
      await new Promise((resolve) => setTimeout(resolve, WHY_PAUSE_MS));
    }
    return undefined;
  }

  /** For calls that are answered soon. @throws HearthError NodeUnavailable when the node is not known */
  client(node: string): HttpClient {
    return this.#clientsOf(node).client;
  }

  /**
   * For answers that may stay open, such as followed logs: these have connections of their own, so that
   * a start never waits for one. @throws HearthError NodeUnavailable when the node is not known
   */
  streams(node: string): HttpClient {
    return this.#clientsOf(node).streams;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#clients.keys()].map((node) => this.#closeClient(node)));
  }

  #clientsOf(node: string): Clients {
    const address = this.#addresses.get(node);
    if (address === undefined) {
      throw new HearthError('NodeUnavailable', `node "${node}" is not registered`);
    }
    const known = this.#clients.get(node);
    if (known?.address === address) return known;
    void this.#closeClient(node);
    const options = {
      baseUrl: address,
      token: this.#options.clusterToken,
      peer: `node agent "${node}"`,
      unreachable: 'NodeUnavailable',
    } as const;
    const streams = new HttpClient({ ...options, connections: STREAMS_MAX, headersTimeoutMs: 0 });
    const clients = { address, client: new HttpClient(options), streams };
    this.#clients.set(node, clients);
    return clients;
  }

  #followNode(node: string, record: NodeRecord | undefined): void {
    this.#heardMs = performance.now();
    if (record !== undefined) {
      this.#seenAtMs.set(node, performance.now());
      this.#addresses.set(node, record.address);
      return;
    }
    this.#seenAtMs.delete(node);
    this.#forgetLeft();
  }

  /** A node says that it leaves before its instances end: their releases must still reach it. */
  #forgetLeft(): void {
    for (const node of this.#addresses.keys()) {
      if (this.#seenAtMs.has(node) || this.#hasInstances(node)) continue;
      this.#addresses.delete(node);
      void this.#closeClient(node);
    }
  }

  #hasInstances(node: string): boolean {
    for (const record of this.#options.mirror.all('instance')) {
      if (record.node === node) return true;
    }
    return false;
  }

  async #closeClient(node: string): Promise<void> {
    const known = this.#clients.get(node);
    this.#clients.delete(node);
    await Promise.all([known?.client.close(), known?.streams.close()]);
  }
}
