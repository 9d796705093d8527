import { mkdtempSync, rmSync } from 'node:fs';
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type ErrorBody, HearthError, toHearthError } from '../../lib/errors.ts';
import { newId } from '../../lib/ids.ts';
import type { InstanceEndpoint, InstanceRecord } from '../../lib/records.ts';
import type { Store } from '../../lib/store/store.ts';
import type { StartInstanceRequest } from '../../node-agent/api/types.ts';

/** An instance of the fake agent: a little HTTP server in the test's own process. */
export interface FakeInstance {
  record: InstanceRecord;
  server: Server;
  /** Gateways that have released it. */
  released: string[];
}

export interface FakeAgentOptions {
  store: Store;
  name?: string;
  endpoint?: 'unix' | 'tcp';
  /** What an instance answers. */
  handler(instance: InstanceRecord): RequestListener;
  startMs?: number;
  /** Thrown instead of starting, when it returns an error. */
  failStart?(request: StartInstanceRequest): HearthError | undefined;
}

/** A node agent's API over real sockets; its instances are servers, its records are in the store. */
export class FakeAgent {
  readonly name: string;
  readonly instances = new Map<string, FakeInstance>();
  /** Why instances ended, by id, for `GET /v1/instances/:id`. */
  readonly ends = new Map<string, ErrorBody>();
  readonly starts: StartInstanceRequest[] = [];
  readonly #options: FakeAgentOptions;
  readonly #dir = mkdtempSync(join(tmpdir(), 'hearth-fake-agent-'));
  readonly #server: Server;
  #heartbeat: NodeJS.Timeout | undefined;

  constructor(options: FakeAgentOptions) {
    this.#options = options;
    this.name = options.name ?? 'n1';
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch((error: unknown) => {
        const known = toHearthError(error);
        response.writeHead(known.status, { 'content-type': 'application/json' });
        response.end(JSON.stringify({ error: known.toBody() }));
      });
    });
  }

  async listen(): Promise<void> {
    await listening(this.#server, 0);
    await this.beat();
    this.#heartbeat = setInterval(() => void this.beat().catch(() => undefined), 1000);
  }

  async beat(): Promise<void> {
    const { port } = this.#server.address() as AddressInfo;
    await this.#options.store.put('node', this.name, {
      name: this.name,
      address: `http://127.0.0.1:${port}`,
      cpuMillis: 2000,
      memoryBytes: 2 ** 30,
      memoryReservedBytes: 0,
      instances: this.instances.size,
      version: '0',
      heartbeatAtMs: Date.now(),
    });
  }

  /** Says that the node leaves; its instances and its API are still there. */
  async leave(): Promise<void> {
    clearInterval(this.#heartbeat);
    await this.#options.store.remove('node', this.name);
  }

  async start(request: Pick<StartInstanceRequest, 'functionName' | 'revisionId' | 'concurrency'>) {
    const id = newId('i');
    const { endpoint = 'unix', handler, store, startMs = 0 } = this.#options;
    await new Promise((resolve) => setTimeout(resolve, startMs));
    const nowMs = Date.now();
    const record: InstanceRecord = {
      id,
      node: this.name,
      functionName: request.functionName,
      revisionId: request.revisionId,
      state: 'ready',
      endpoint: { kind: 'unix', path: join(this.#dir, id) },
      concurrency: request.concurrency,
      reason: 'cold',
      phases: { queueMs: 0, mountMs: 1, spawnMs: 1, readyMs: 2, importMs: 1, totalMs: 4 },
      startedAtMs: nowMs,
      readyAtMs: nowMs,
    };
    const server = createServer(handler(record));
    await listening(server, endpoint === 'unix' ? join(this.#dir, id) : 0);
    if (endpoint === 'tcp') record.endpoint = tcpEndpoint(server);
    this.instances.set(id, { record, server, released: [] });
    await store.put('instance', id, record);
    return record;
  }

  async setState(id: string, state: InstanceRecord['state']): Promise<void> {
    const instance = this.#get(id);
    instance.record = { ...instance.record, state };
    await this.#options.store.put('instance', id, instance.record);
  }

  /** As if the process died: connections break, nobody listens; the record stays. */
  crash(id: string): void {
    const { server } = this.#get(id);
    server.closeAllConnections();
    server.close();
  }

  async remove(id: string): Promise<void> {
    this.crash(id);
    this.instances.delete(id);
    await this.#options.store.remove('instance', id);
  }

  async stop(): Promise<void> {
    clearInterval(this.#heartbeat);
    for (const id of this.instances.keys()) this.crash(id);
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    rmSync(this.#dir, { recursive: true, force: true });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? '/', 'http://agent');
    const [, , noun, id = '', verb] = pathname.split('/');
    const body = request.method === 'POST' ? await text(request) : '';
    if (noun === 'logs') return this.#logs(response);
    if (noun !== 'instances') throw new HearthError('NotFound', pathname);
    if (id === '') return this.#startAsked(JSON.parse(body) as StartInstanceRequest, response);
    if (verb === 'released') {
      this.#get(id).released.push((JSON.parse(body) as { gateway: string }).gateway);
      response.writeHead(204).end();
    } else if (verb === 'drain') {
      await this.setState(id, 'draining');
      answer(response, 202, {});
    } else {
      const error = this.ends.get(id);
      answer(response, 200, { record: this.#get(id).record, ...(error ? { error } : {}) });
    }
  }

  async #startAsked(request: StartInstanceRequest, response: ServerResponse): Promise<void> {
    this.starts.push(request);
    const error = this.#options.failStart?.(request);
    if (error !== undefined) throw error;
    answer(response, 201, await this.start(request));
  }

  #logs(response: ServerResponse): void {
    for (const [id, { record }] of this.instances) {
      const { functionName, startedAtMs: timeMs } = record;
      const line = { timeMs, functionName, instanceId: id, stream: 'stdout', text: 'hello' };
      response.write(`${JSON.stringify(line)}\n`);
    }
    response.end();
  }

  #get(id: string): FakeInstance {
    const instance = this.instances.get(id);
    if (instance === undefined) throw new HearthError('NotFound', `no instance ${id}`);
    return instance;
  }
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

function tcpEndpoint(server: Server): InstanceEndpoint {
  return { kind: 'tcp', host: '127.0.0.1', port: (server.address() as AddressInfo).port };
}

function listening(server: Server, where: number | string): Promise<void> {
  return new Promise((resolve) => {
    if (typeof where === 'string') server.listen(where, resolve);
    else server.listen(where, '127.0.0.1', resolve);
  });
}
