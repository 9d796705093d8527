import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { type HearthError, toHearthError } from '../../lib/errors.ts';
import { newId } from '../../lib/ids.ts';
import { LIMITS } from '../../lib/limits.ts';
import type { InstanceRecord } from '../../lib/records.ts';
import type { Store } from '../../lib/store/store.ts';
import type { StartInstanceRequest } from '../../node-agent/api/types.ts';
import { instance, node } from './records.ts';

export interface FakeAgentOptions {
  store: Store;
  name: string;
  token: string;
  startMs?: number;
  memoryReservedBytes?: number;
  /** Thrown instead of starting, when it returns an error. */
  failStart?(request: StartInstanceRequest): HearthError | undefined;
}

/** A node agent's API over real HTTP, whose instances are only records. */
export class FakeAgent {
  readonly starts: StartInstanceRequest[] = [];
  readonly drains: string[] = [];
  readonly instances = new Map<string, InstanceRecord>();
  readonly #options: FakeAgentOptions;
  readonly #server: Server;
  #heartbeat: NodeJS.Timeout | undefined;
  #address = '';

  constructor(options: FakeAgentOptions) {
    this.#options = options;
    this.#server = createServer((request, response) => {
      this.#serve(request)
        .then((body) => response.writeHead(201).end(JSON.stringify(body)))
        .catch((error: unknown) => {
          const known = toHearthError(error);
          response.writeHead(known.status).end(JSON.stringify({ error: known.toBody() }));
        });
    });
  }

  async listen(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.listen(0, '127.0.0.1', resolve);
    await promise;
    this.#address = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
    await this.beat();
    this.#heartbeat = setInterval(() => void this.beat().catch(() => {}), LIMITS.heartbeatMs);
  }

  async beat(): Promise<void> {
    const { store, name, memoryReservedBytes = 0 } = this.#options;
    const state = { address: this.#address, memoryReservedBytes };
    await store.put('node', name, node(name, Date.now(), state));
  }

  /** The instance ends of itself. */
  async crash(id: string): Promise<void> {
    this.instances.delete(id);
    await this.#options.store.remove('instance', id);
  }

  /** Like kill -9: no answer, no heartbeat; its records stay. */
  die(): void {
    clearInterval(this.#heartbeat);
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #serve(request: IncomingMessage): Promise<unknown> {
    const { token } = this.#options;
    if (request.headers.authorization !== `Bearer ${token}`) throw new Error('wrong token');
    const body = await json(request);
    if (request.url === '/v1/instances') return await this.#start(body as StartInstanceRequest);
    const id = request.url?.split('/')[3] ?? '';
    this.drains.push(id);
    await this.crash(id);
    return {};
  }

  async #start(request: StartInstanceRequest): Promise<InstanceRecord> {
    const { store, name, startMs = 0, failStart } = this.#options;
    this.starts.push(request);
    const failure = failStart?.(request);
    if (failure !== undefined) throw failure;
    await new Promise((resolve) => setTimeout(resolve, startMs));
    const { functionName, revisionId, reason } = request;
    const nowMs = Date.now();
    const changes = { node: name, functionName, revisionId, reason, readyAtMs: nowMs };
    const record = instance(newId('i'), { ...changes, startedAtMs: nowMs - startMs });
    this.instances.set(record.id, record);
    await store.put('instance', record.id, record);
    return record;
  }
}
