import { HearthError } from '../lib/errors.ts';
import { HttpClient } from '../lib/http/client.ts';
import type { InstanceRecord } from '../lib/records.ts';
import type { DrainRequest, StartInstanceRequest } from '../node-agent/api/types.ts';

/** Pulling and unpacking an image that the node does not have, beyond the start itself. */
const PULL_MS_MAX = 120_000;
const DRAIN_MS_MAX = 5_000;

/** Where an agent answers. */
export interface AgentAddress {
  name: string;
  address: string;
}

/** The node agents, one client with persistent connections an address. */
export class AgentClients {
  readonly #token: string;
  readonly #clients = new Map<string, HttpClient>();

  constructor(token: string) {
    this.#token = token;
  }

  /**
   * Starts an instance and waits until it is ready.
   * @throws HearthError the agent's own, or NodeUnavailable; the signal's reason when it aborts
   */
  async start(
    node: AgentAddress,
    request: StartInstanceRequest,
    signal?: AbortSignal,
  ): Promise<InstanceRecord> {
    const timeout = AbortSignal.timeout(request.startTimeoutMs + PULL_MS_MAX);
    return await this.#post(node, '/v1/instances', request, { timeout, signal });
  }

  /** Asks for the end of an instance; one that is gone already is as good. */
  async drain(node: AgentAddress, instanceId: string, request: DrainRequest): Promise<void> {
    const path = `/v1/instances/${encodeURIComponent(instanceId)}/drain`;
    const timeout = AbortSignal.timeout(DRAIN_MS_MAX);
    try {
      await this.#post(node, path, request, { timeout });
    } catch (error) {
      if (error instanceof HearthError && error.code === 'NotFound') return;
      throw error;
    }
  }

  /** Closes the clients of addresses that no node has any more. */
  async retain(addresses: ReadonlySet<string>): Promise<void> {
    for (const [address, client] of this.#clients) {
      if (addresses.has(address)) continue;
      this.#clients.delete(address);
      await client.close();
    }
  }

  async close(): Promise<void> {
    await this.retain(new Set());
  }

  async #post<T>(
    node: AgentAddress,
    path: string,
    body: unknown,
    signals: { timeout: AbortSignal; signal?: AbortSignal | undefined },
  ): Promise<T> {
    const { timeout, signal } = signals;
    const either = signal === undefined ? timeout : AbortSignal.any([timeout, signal]);
    try {
      return await this.#client(node).json<T>(path, { method: 'POST', body, signal: either });
    } catch (error) {
      if (signal?.aborted === true || !timeout.aborted) throw error;
      throw new HearthError('NodeUnavailable', `node agent "${node.name}" did not answer in time`, {
        cause: error,
      });
    }
  }

  #client({ name, address }: AgentAddress): HttpClient {
    const known = this.#clients.get(address);
    if (known !== undefined) return known;
    const client = new HttpClient({
      baseUrl: address,
      token: this.#token,
      peer: `node agent "${name}"`,
      unreachable: 'NodeUnavailable',
    });
    this.#clients.set(address, client);
    return client;
  }
}
