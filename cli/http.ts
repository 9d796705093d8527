import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { type ErrorBody, errnoCode, HearthError } from '../lib/errors.ts';

export interface ApiOptions {
  baseUrl: string;
  token: string | undefined;
}

export interface CallOptions {
  method?: string;
  query?: Readonly<Record<string, string | number | boolean | undefined>>;
  headers?: Readonly<Record<string, string | string[]>>;
  /** A stream is sent as it is, anything else as JSON. */
  body?: unknown;
  /**
   * The headers leave at once. Node holds them back until the body's first bytes, which whoever is to type them
   * at a prompt waits for.
   */
  headersFirst?: boolean;
  signal?: AbortSignal;
}

const JSON_ANSWER_BYTES_MAX = 64 * 1024 * 1024;
const SHOWN_MAX = 200;

/**
 * The CLI's client of the gateway, on node:http alone: a start of the CLI pays 21 ms for that and
 * 62 ms for undici. One connection a call, so that nothing keeps the process alive.
 */
export class ApiClient {
  readonly #options: ApiOptions;

  constructor(options: ApiOptions) {
    this.#options = options;
  }

  get baseUrl(): string {
    return this.#options.baseUrl;
  }

  /** The answer's JSON. @throws HearthError as the server sent it, or PlatformUnavailable */
  async json<T>(path: string, options: CallOptions = {}): Promise<T> {
    const answer = await this.call(path, options);
    const body = await this.#whole(answer);
    try {
      return (body === '' ? undefined : JSON.parse(body)) as T;
    } catch {
      throw notHearth(this.baseUrl, answer.statusCode ?? 0, body);
    }
  }

  /** Objects of a newline-delimited JSON answer, as they arrive. */
  async *lines<T>(path: string, options: CallOptions = {}): AsyncGenerator<T> {
    const answer = await this.call(path, options);
    answer.setEncoding('utf8');
    let rest = '';
    try {
      for await (const chunk of answer) {
        const parts = (rest + String(chunk)).split('\n');
        rest = parts.pop() ?? '';
        for (const line of parts) if (line !== '') yield JSON.parse(line) as T;
      }
    } catch (error) {
      throw this.#unreachable(error, options.signal);
    }
    if (rest !== '') yield JSON.parse(rest) as T;
  }

  /** The answer itself, when its status is below 400. */
  async call(path: string, options: CallOptions = {}): Promise<IncomingMessage> {
    const answer = await this.raw(path, options);
    const status = answer.statusCode ?? 0;
    if (status < 400) return answer;
    const body = await this.#whole(answer);
    throw errorOf(body) ?? notHearth(this.baseUrl, status, body);
  }

  /** The answer whatever its status; it may come while the body is still being sent. */
  async raw(path: string, options: CallOptions = {}): Promise<IncomingMessage> {
    const url = new URL(path, this.baseUrl);
    for (const [key, value] of Object.entries(options.query ?? {})) {
      if (value !== undefined) url.searchParams.set(key, String(value));
    }
    const request = await startRequest(url, {
      method: options.method ?? 'GET',
      headers: { ...headersFor(options.body, this.#options.token), ...options.headers },
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    return new Promise((resolve, reject) => {
      let isAnswered = false;
      request.on('response', (answer) => {
        isAnswered = true;
        resolve(answer);
      });
      request.on('error', (error) => reject(this.#unreachable(error, options.signal)));
      if (options.headersFirst === true) request.flushHeaders();
      send(request, options.body).catch((error: unknown) => {
        // A body that nobody reads any more after the answer is no failure.
        if (!isAnswered) reject(error);
      });
    });
  }

  async #whole(answer: IncomingMessage): Promise<string> {
    const bytes = Number(answer.headers['content-length'] ?? 0);
    if (bytes > JSON_ANSWER_BYTES_MAX) {
      answer.destroy();
      throw notHearth(this.baseUrl, answer.statusCode ?? 0, `a body of ${bytes} bytes`);
    }
    return text(answer);
  }

  #unreachable(cause: unknown, signal: AbortSignal | undefined): unknown {
    if (signal?.aborted === true) return signal.reason;
    if (cause instanceof HearthError) return cause;
    const code = errnoCode(cause) ?? '';
    const why = REASONS[code] ?? (cause instanceof Error ? cause.message : String(cause));
    return new HearthError('PlatformUnavailable', `cannot reach ${this.baseUrl} (${why})`, {
      hint: HINTS[code] ?? 'start a platform with hearth up, or name one with --server URL',
      cause,
    });
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection closed by the server',
  EPIPE: 'connection closed by the server',
  ENOTFOUND: 'host not found',
  EAI_AGAIN: 'host not found',
  EHOSTUNREACH: 'no route to the host',
  ETIMEDOUT: 'timed out',
  EPROTO: 'the server does not speak TLS',
  HPE_INVALID_CONSTANT: 'the answer is not HTTP',
};

const HINTS: Readonly<Record<string, string>> = {
  EPROTO: 'try the URL with http:// in place of https://',
  HPE_INVALID_CONSTANT: 'is another program listening there? https:// servers need an https:// URL',
};

type RequestOptions = Parameters<typeof httpRequest>[1];

async function startRequest(url: URL, options: RequestOptions): Promise<ClientRequest> {
  const all = { ...options, agent: false };
  if (url.protocol === 'http:') return httpRequest(url, all);
  const { request } = await import('node:https');
  return request(url, all);
}

function headersFor(body: unknown, token: string | undefined): Record<string, string> {
  return {
    ...(body === undefined || body instanceof Readable
      ? {}
      : { 'content-type': 'application/json' }),
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  };
}

/** Rejects only with what the body itself fails with: a broken connection is told by 'error'. */
async function send(request: ClientRequest, body: unknown): Promise<void> {
  if (!(body instanceof Readable)) {
    request.end(body === undefined ? undefined : JSON.stringify(body));
    return;
  }
  let broken: unknown;
  body.once('error', (error) => {
    broken = error;
  });
  try {
    await pipeline(body, request);
  } catch {
    if (broken === undefined) return;
    request.destroy();
    throw broken;
  }
}

function errorOf(body: string): HearthError | undefined {
  try {
    const { error } = JSON.parse(body) as { error?: ErrorBody };
    return typeof error?.code === 'string' ? HearthError.fromBody(error) : undefined;
  } catch {
    return undefined;
  }
}

function notHearth(baseUrl: string, status: number, body: string): HearthError {
  const shown = body.slice(0, SHOWN_MAX).replace(/\s+/g, ' ').trim();
  const code = status === 401 || status === 403 ? 'Unauthorized' : 'PlatformUnavailable';
  return new HearthError(code, `${baseUrl} answered ${status}: ${shown || 'nothing'}`, {
    hint: 'is this the URL of a Hearth gateway?',
  });
}
