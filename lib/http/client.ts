import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { text as textOf } from 'node:stream/consumers';
import { Agent, type Dispatcher, request } from 'undici';
import { type ErrorBody, errnoCode, HearthError } from '../errors.ts';
import { openDuplex } from './duplex.ts';

export interface HttpClientOptions {
  /** Base URL, `http://host:port`. */
  baseUrl: string;
  token?: string;
  /** What the peer is called in an error, e.g. `node agent "n1"`. */
  peer: string;
  /** Code of the error when the peer cannot be reached. */
  unreachable?: 'PlatformUnavailable' | 'NodeUnavailable' | 'RegistryUnavailable';
  /** 0: however long the peer takes. */
  headersTimeoutMs?: number;
  /** At once; further calls wait. Default 64. */
  connections?: number;
}

export interface CallOptions {
  method?: Dispatcher.HttpMethod;
  /** Sent as JSON, unless it is bytes or a stream. */
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
  query?: Record<string, string | number | boolean | undefined>;
}

/** A JSON-over-HTTP client for the APIs of Hearth: keep-alive, bearer token, errors as HearthError. */
export class HttpClient {
  readonly #options: HttpClientOptions;
  readonly #agent: Agent;

  constructor(options: HttpClientOptions) {
    this.#options = options;
    this.#agent = new Agent({
      keepAliveTimeout: 4_000,
      headersTimeout: options.headersTimeoutMs ?? 330_000,
      bodyTimeout: 0,
      connections: options.connections ?? 64,
    });
  }

  /** The answer's JSON. @throws HearthError as the peer sent it, or `unreachable` */
  async json<T>(path: string, options: CallOptions = {}): Promise<T> {
    const response = await this.raw(path, options);
    const text = await response.body.text();
    return (text === '' ? undefined : JSON.parse(text)) as T;
  }

  /** Objects of a newline-delimited JSON answer, as they arrive. */
  async *lines<T>(path: string, options: CallOptions = {}): AsyncGenerator<T> {
    const response = await this.raw(path, options);
    let rest = '';
    for await (const chunk of response.body.setEncoding('utf8')) {
      const parts = (rest + String(chunk)).split('\n');
      rest = parts.pop() ?? '';
      for (const line of parts) if (line !== '') yield JSON.parse(line) as T;
    }
    if (rest !== '') yield JSON.parse(rest) as T;
  }

  /** The answer itself when its status is below 400. */
  async raw(path: string, options: CallOptions = {}): Promise<Dispatcher.ResponseData> {
    const response = await this.#send(path, options);
    if (response.statusCode < 400) return response;
    const text = await response.body.text();
    throw errorOf(text, response.statusCode, this.#options.peer);
  }

  /** As `raw`, but the headers leave before the first bytes of the body, on a connection of its own. */
  async duplex(
    path: string,
    options: CallOptions & { method: string; body: Readable },
  ): Promise<IncomingMessage> {
    const { method, body, signal } = options;
    const { url, headers } = this.#addressed(path, options);
    let answer: IncomingMessage;
    try {
      const more = signal === undefined ? {} : { signal };
      answer = await openDuplex(url, { method, headers, body, ...more });
    } catch (error) {
      throw this.#unreachable(error, signal);
    }
    const status = answer.statusCode ?? 0;
    if (status < 400) return answer;
    throw errorOf(await textOf(answer), status, this.#options.peer);
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  #addressed(path: string, options: CallOptions): { url: URL; headers: Record<string, string> } {
    const url = new URL(path, this.#options.baseUrl);
    for (const [key, value] of Object.entries(options.query ?? {})) {
      if (value !== undefined) url.searchParams.set(key, String(value));
    }
    const headers: Record<string, string> = { ...options.headers };
    if (this.#options.token !== undefined) headers.authorization = `Bearer ${this.#options.token}`;
    return { url, headers };
  }

  async #send(path: string, options: CallOptions): Promise<Dispatcher.ResponseData> {
    const { url, headers } = this.#addressed(path, options);
    const { body, type } = encodeBody(options.body);
    if (type !== undefined) headers['content-type'] ??= type;
    try {
      return await request(url, {
        dispatcher: this.#agent,
        method: options.method ?? 'GET',
        headers,
        ...(body === undefined ? {} : { body }),
        ...(options.signal === undefined ? {} : { signal: options.signal }),
      });
    } catch (error) {
      throw this.#unreachable(error, options.signal);
    }
  }

  #unreachable(error: unknown, signal: AbortSignal | undefined): unknown {
    if (signal?.aborted === true) return error;
    const { peer, baseUrl, unreachable } = this.#options;
    const why = errnoCode(error) ?? (error instanceof Error ? error.message : String(error));
    return new HearthError(
      unreachable ?? 'PlatformUnavailable',
      `cannot reach ${peer} at ${baseUrl} (${reasonOf(why)})`,
      { cause: error },
    );
  }
}

function encodeBody(body: unknown): { body?: Dispatcher.DispatchOptions['body']; type?: string } {
  if (body === undefined) return {};
  const isRaw =
    typeof body === 'string' ||
    body instanceof Uint8Array ||
    (typeof body === 'object' && body !== null && Symbol.asyncIterator in body);
  if (isRaw) return { body: body as string, type: 'application/octet-stream' };
  return { body: JSON.stringify(body), type: 'application/json' };
}

function reasonOf(code: string): string {
  const words: Readonly<Record<string, string>> = {
    ECONNREFUSED: 'connection refused',
    ECONNRESET: 'connection reset',
    ENOTFOUND: 'host not found',
    ETIMEDOUT: 'timed out',
    UND_ERR_CONNECT_TIMEOUT: 'connect timed out',
    UND_ERR_SOCKET: 'connection closed',
  };
  return words[code] ?? code;
}

function errorOf(text: string, status: number, peer: string): HearthError {
  try {
    const parsed = JSON.parse(text) as { error?: ErrorBody };
    if (typeof parsed.error?.code === 'string')
      return HearthError.fromBody(parsed.error, { status });
  } catch {
    // Not JSON: said below with the text's start.
  }
  const shown = text.slice(0, 200).replace(/\s+/g, ' ');
  return new HearthError('Internal', `${peer} answered ${status}: ${shown}`, { status });
}
