import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, buildConnector, type Dispatcher, request } from 'undici';
import { HearthError } from '../errors.ts';
import { isNamedLocal, isOwnAddress } from './own-address.ts';
import { basicAuthorization, parseChallenge, parseToken, tokenUrl } from './registry-auth.ts';
import {
  failureOfAnswer,
  failureOfError,
  isRetryableError,
  isRetryableStatus,
  parseRetryAfterMs,
  type RegistryIdentity,
  retryDelayMs,
} from './registry-failure.ts';

export interface RegistryHttpOptions {
  /** `http://host:port` or `https://host`. */
  baseUrl: string;
  /** Sent as Bearer with every request. */
  token?: string;
  /** For Basic, and for the token service that a registry names. */
  credentials?: { username: string; password: string };
  /** PEM of certificate authorities to trust besides the system's. */
  ca?: string;
  /** Whose registry it is, for the code of its errors; default `platform`. */
  owner?: 'platform' | 'user';
  connectTimeoutMs?: number;
  /** Longest silence while an answer is awaited or read; default two minutes. */
  idleTimeoutMs?: number;
}

export interface RegistryRequest {
  method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Path below the base URL, or an absolute URL (`Location` of an upload). */
  url: string;
  /** What it is about, for errors. */
  subject: string;
  /** Scope of the token, `repository:NAME:pull`. */
  scope?: string;
  headers?: Record<string, string>;
  body?: Buffer | Readable | AsyncIterable<Buffer>;
  /** The request is sent once: its body cannot be read again. */
  once?: boolean;
  /** Statuses besides 2xx that the caller handles. */
  expected?: readonly number[];
}

export type RegistryResponse = Dispatcher.ResponseData;

const ATTEMPTS_MAX = 4;
/** A registry may write a large blob to its disk before it answers. */
const IDLE_MS = 120_000;
const REDIRECTS_MAX = 5;
const RETRY_AFTER_MS_MAX = 30_000;
const ERROR_TEXT_BYTES_MAX = 16 * 1024;
const TOKENS_MAX = 64;
const REDIRECT_STATUSES: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/** HTTP to one registry: authorization, redirects, retries, errors as HearthError. */
export class RegistryHttp {
  readonly identity: RegistryIdentity;
  readonly #options: RegistryHttpOptions;
  readonly #base: URL;
  readonly #agent: Agent;
  readonly #tokens = new Map<string, { token: string; expiresMs: number }>();
  #usesBasic = false;

  constructor(options: RegistryHttpOptions) {
    this.#options = options;
    this.#base = new URL(options.baseUrl);
    this.identity = { host: this.#base.host, isPlatform: options.owner !== 'user' };
    const idleMs = options.idleTimeoutMs ?? IDLE_MS;
    this.#agent = new Agent({
      keepAliveTimeout: 4_000,
      headersTimeout: idleMs,
      bodyTimeout: idleMs,
      connections: 16,
      connect: this.#connector(),
    });
  }

  /**
   * The answer, whose body the caller must read or dump.
   * @throws HearthError RegistryAuth, RegistryRateLimited, RegistryTls, RegistryUnavailable or
   * RegistryError
   */
  async send(asked: RegistryRequest): Promise<RegistryResponse> {
    for (let attempt = 0; ; attempt++) {
      const mayRetry = asked.once !== true && attempt + 1 < ATTEMPTS_MAX;
      let retryAfterMs: number | undefined;
      try {
        const response = await this.#authorized(asked);
        if (isExpected(response, asked)) return response;
        const failed = await this.#failure(response, asked);
        if (!mayRetry || !failed.isRetryable) throw failed.error;
        retryAfterMs = failed.retryAfterMs;
      } catch (error) {
        if (!mayRetry || !isRetryableError(error)) throw failureOfError(this.identity, error);
      }
      await sleep(retryDelayMs(attempt, retryAfterMs));
    }
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  /**
   * A registry that a user names may send us on, or have a name that means an address of ours: no
   * byte is written to services of this machine for it, unless it was named as one. Looked at when
   * the connection stands, as a name may mean another address each time it is asked for.
   */
  #connector(): buildConnector.connector {
    const { ca, connectTimeoutMs = 10_000 } = this.#options;
    const connect = buildConnector({
      timeout: connectTimeoutMs,
      ...(ca === undefined ? {} : { ca }),
    });
    return (target, done) => {
      connect(target, (error, socket) => {
        if (error !== null) return done(error, null);
        const { remoteAddress = '' } = socket;
        if (this.#mayReach(target.hostname, remoteAddress)) return done(null, socket);
        socket.destroy();
        done(leadsInside(this.identity, remoteAddress), null);
      });
    };
  }

  #mayReach(hostname: string, address: string): boolean {
    if (this.identity.isPlatform || !isOwnAddress(address)) return true;
    return hostname === this.#base.hostname && isNamedLocal(hostname);
  }

  async #failure(
    response: RegistryResponse,
    asked: RegistryRequest,
  ): Promise<{ error: HearthError; isRetryable: boolean; retryAfterMs: number | undefined }> {
    const retryAfterMs = parseRetryAfterMs(response.headers['retry-after'], Date.now());
    const text = await startOf(response);
    const status = response.statusCode;
    const answer = { status, subject: asked.subject, text, retryAfterMs };
    return {
      error: failureOfAnswer(this.identity, answer),
      isRetryable: isRetryableStatus(status) && (retryAfterMs ?? 0) <= RETRY_AFTER_MS_MAX,
      retryAfterMs,
    };
  }

  /** One try; a challenge is answered once. */
  async #authorized(asked: RegistryRequest): Promise<RegistryResponse> {
    const response = await this.#followed(asked);
    if (response.statusCode !== 401 || asked.once === true) return response;
    if (!(await this.#answerChallenge(response, asked.scope))) return response;
    await response.body.dump();
    return this.#followed(asked);
  }

  async #followed(asked: RegistryRequest): Promise<RegistryResponse> {
    let url = new URL(asked.url, this.#base);
    for (let hop = 0; ; hop++) {
      const response = await this.#once(url, asked);
      const { location } = response.headers;
      const isRead = asked.method === 'GET' || asked.method === 'HEAD';
      const isRedirect = REDIRECT_STATUSES.has(response.statusCode) && isRead;
      if (!isRedirect || typeof location !== 'string' || hop === REDIRECTS_MAX) return response;
      await response.body.dump();
      url = new URL(location, url);
    }
  }

  #once(url: URL, asked: RegistryRequest): Promise<RegistryResponse> {
    // Credentials are for the registry: the store that it sends a reader to gets none.
    const authorization =
      url.origin === this.#base.origin ? this.#authorization(asked.scope) : undefined;
    return request(url, {
      dispatcher: this.#agent,
      method: asked.method,
      headers: {
        'user-agent': 'hearth',
        ...asked.headers,
        ...(authorization === undefined ? {} : { authorization }),
      },
      ...(asked.body === undefined ? {} : { body: asked.body as Readable }),
    });
  }

  #authorization(scope: string | undefined): string | undefined {
    const { token, credentials } = this.#options;
    if (token !== undefined) return `Bearer ${token}`;
    const known = this.#tokens.get(scope ?? '');
    if (known !== undefined && known.expiresMs > Date.now()) return `Bearer ${known.token}`;
    return this.#usesBasic && credentials !== undefined
      ? basicAuthorization(credentials)
      : undefined;
  }

  /** Whether something was learned that makes another try worth it. */
  async #answerChallenge(response: RegistryResponse, scope: string | undefined): Promise<boolean> {
    const { token, credentials } = this.#options;
    const challenge = parseChallenge(response.headers['www-authenticate']);
    if (challenge === undefined || token !== undefined) return false;
    if (challenge.scheme === 'basic') {
      if (credentials === undefined || this.#usesBasic) return false;
      this.#usesBasic = true;
      return true;
    }
    const url = tokenUrl(challenge, {
      registry: this.#base,
      ...(scope === undefined ? {} : { scope }),
      ...(credentials === undefined ? {} : { account: credentials.username }),
    });
    return url !== undefined && (await this.#fetchToken(url, scope));
  }

  async #fetchToken(url: URL, scope: string | undefined): Promise<boolean> {
    const { credentials } = this.#options;
    const response = await request(url, {
      dispatcher: this.#agent,
      headers: credentials === undefined ? {} : { authorization: basicAuthorization(credentials) },
    });
    const text = await startOf(response, 256 * 1024);
    if (response.statusCode !== 200) return false;
    const found = parseToken(parseJson(text), Date.now());
    if (found === undefined) return false;
    if (this.#tokens.size >= TOKENS_MAX) this.#tokens.clear();
    this.#tokens.set(scope ?? '', found);
    return true;
  }
}

function leadsInside({ host }: RegistryIdentity, address: string): HearthError {
  return new HearthError(
    'RegistryError',
    `${host} leads to ${address}, which is for this machine only`,
    { hint: 'a registry of this machine is named localhost:PORT/NAME' },
  );
}

function isExpected(response: RegistryResponse, asked: RegistryRequest): boolean {
  const { statusCode } = response;
  return (statusCode >= 200 && statusCode < 300) || asked.expected?.includes(statusCode) === true;
}

/** The start of a body as text; what comes after is not read. */
async function startOf(
  response: RegistryResponse,
  bytesMax: number = ERROR_TEXT_BYTES_MAX,
): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response.body as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    size += chunk.length;
    if (size >= bytesMax) break;
  }
  return Buffer.concat(chunks).subarray(0, bytesMax).toString('utf8');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
