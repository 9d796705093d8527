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

export interface AgentsOptions {
  mirror: Mirror;
  clusterToken: string;
}

/** The node agents by name of node: one persistent client each. */
export class Agents {
  readonly #options: AgentsOptions;
  readonly #clients = new Map<string, { address: string; client: HttpClient }>();
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

  /** @throws HearthError NodeUnavailable when the node is not known */
  client(node: string): HttpClient {
    const address = this.#addresses.get(node);
    if (address === undefined) {
      throw new HearthError('NodeUnavailable', `node "${node}" is not registered`);
    }
    const known = this.#clients.get(node);
    if (known?.address === address) return known.client;
    this.#closeClient(node);
    const client = new HttpClient({
      baseUrl: address,
      token: this.#options.clusterToken,
      peer: `node agent "${node}"`,
      unreachable: 'NodeUnavailable',
    });
    this.#clients.set(node, { address, client });
    return client;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#clients.values()].map(({ client }) => client.close()));
    this.#clients.clear();
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
      this.#closeClient(node);
    }
  }

  #hasInstances(node: string): boolean {
    for (const record of this.#options.mirror.all('instance')) {
      if (record.node === node) return true;
    }
    return false;
  }

  #closeClient(node: string): void {
    const known = this.#clients.get(node);
    this.#clients.delete(node);
    void known?.client.close();
  }
}
