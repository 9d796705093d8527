import { timingSafeEqual } from 'node:crypto';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { HearthError, toHearthError } from '../errors.ts';
import { newCallId } from '../ids.ts';
import { LIMITS } from '../limits.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { discardRest } from './discard-rest.ts';
import { answerUnreadable } from './unreadable-request.ts';

const CLOSE_IDLE_MS = 50;
const PATH_PART_LENGTH_MAX = 512;

export interface ApiServerOptions {
  log: Log;
  metrics: Metrics;
  /** Bearer token that every path but the open ones needs. */
  token: string;
  /** Paths without a token, as whole paths; `/healthz`, `/readyz` and `/metrics` always are. */
  isOpen?(request: FastifyRequest): boolean;
  /** Resolves when the daemon can do its work; rejects with the reason. For `/readyz`. */
  ready?(): Promise<void>;
  /** The path that the router sees; `request.originalUrl` keeps what was asked for. */
  rewriteUrl?(url: string): string;
}

/**
 * The HTTP shell that every daemon shares: token, errors as `{"error": …}` in one place, health,
 * readiness and metrics. Routes are added by the daemon's `app.ts`.
 */
export function createApiServer(options: ApiServerOptions): FastifyInstance {
  const app = Fastify({
    logger: false,
    bodyLimit: LIMITS.jsonBodyBytesMax,
    genReqId: () => newCallId(),
    forceCloseConnections: 'idle',
    keepAliveTimeout: 72_000,
    http: {
      maxHeaderSize: LIMITS.headerBytesMax,
      headersTimeout: LIMITS.headersTimeoutMs,
      connectionsCheckingInterval: 2_000,
    },
    routerOptions: { ignoreTrailingSlash: false, maxParamLength: PATH_PART_LENGTH_MAX },
    clientErrorHandler: answerUnreadable,
    frameworkErrors: (error, request, reply) => {
      const known = unroutable(error);
      // The types take this reply for one of a route with a schema
      const untyped = reply as unknown as FastifyReply;
      void untyped.code(known.status).send({ error: known.toBody(request.id) });
    },
    rewriteUrl: ({ url = '' }) => options.rewriteUrl?.(url) ?? url,
  });
  app.setErrorHandler((error, request, reply) => {
    // That a caller left is no failure, and nobody is there who could be told
    if (reply.raw.closed && isAbort(error)) return;
    const known = fromFastify(error);
    if (known.status >= 500) {
      options.log.error({ err: error, path: request.url, code: known.code }, 'request failed');
    }
    if (reply.raw.headersSent) {
      reply.raw.destroy();
      return;
    }
    // What the route said of its answer, such as a tar's type, is not so of this one
    void reply.removeHeader('content-length').type('application/json; charset=utf-8');
    void reply.code(known.status).send({ error: known.toBody(request.id) });
  });
  app.setNotFoundHandler((request, reply) => {
    const error = new HearthError('NotFound', `no route ${request.method} ${pathOf(request)}`);
    void reply.code(404).send({ error: error.toBody(request.id) });
  });
  app.addHook('onRequest', async (request) => {
    if (isAlwaysOpen(pathOf(request)) || options.isOpen?.(request) === true) return;
    requireToken(request, options.token);
  });
  closeIdleWhileClosing(app);
  app.addHook('onResponse', async (request) => discardRest(request.raw));
  app.get('/healthz', async () => ({ status: 'ok' }));
  app.get('/readyz', async () => {
    await options.ready?.();
    return { status: 'ready' };
  });
  app.get('/metrics', async (_request, reply) => {
    void reply.type(options.metrics.contentType);
    return options.metrics.page();
  });
  return app;
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError';
}

/** A connection whose request ends after the close began would otherwise be kept alive for long. */
function closeIdleWhileClosing(app: FastifyInstance): void {
  let timer: NodeJS.Timeout | undefined;
  app.addHook('preClose', async () => {
    timer = setInterval(() => app.server.closeIdleConnections(), CLOSE_IDLE_MS);
  });
  app.addHook('onClose', async () => clearInterval(timer));
}

function pathOf(request: FastifyRequest): string {
  return request.url.split('?', 1)[0] ?? '';
}

function isAlwaysOpen(path: string): boolean {
  return path === '/healthz' || path === '/readyz' || path === '/metrics';
}

/** @throws HearthError Unauthorized; compares in constant time */
export function requireToken(request: FastifyRequest, token: string): void {
  const header = request.headers.authorization ?? '';
  const given = Buffer.from(header.startsWith('Bearer ') ? header.slice(7) : '');
  const wanted = Buffer.from(token);
  if (given.length === wanted.length && timingSafeEqual(given, wanted)) return;
  throw new HearthError(
    'Unauthorized',
    header === '' ? 'no token was sent' : 'the token is not valid here',
    { hint: 'set HEARTH_TOKEN, or run the command on the machine where hearth up runs' },
  );
}

/** What the router says of a path that it cannot take apart; Fastify's own words hold all of it. */
function unroutable({
  code,
  statusCode = 400,
}: {
  code: string;
  statusCode?: number;
}): HearthError {
  const what =
    code === 'FST_ERR_MAX_PARAM_LENGTH'
      ? `a part of the path is longer than the limit of ${PATH_PART_LENGTH_MAX} signs`
      : 'the path is not valid: each % must be followed by two hexadecimal digits';
  return new HearthError('BadRequest', what, { status: statusCode });
}

function fromFastify(error: unknown): HearthError {
  if (error instanceof HearthError) return error;
  const { code, statusCode, message } = error as {
    code?: string;
    statusCode?: number;
    message?: string;
  };
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    return new HearthError('PayloadTooLarge', 'the body is larger than the limit of 1 MiB');
  }
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new HearthError('BadRequest', message ?? 'bad request', { status: statusCode });
  }
  return toHearthError(error);
}
