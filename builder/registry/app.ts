import { timingSafeEqual } from 'node:crypto';
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify';
import { LIMITS } from '../../lib/limits.ts';
import type { Log } from '../../lib/telemetry/log.ts';
import type { Metrics } from '../../lib/telemetry/metrics.ts';
import { handleBlob, handleUpload, handleUploads } from './blob-handlers.ts';
import { BlobStore } from './blob-store.ts';
import type { Call, RegistryContext } from './context.ts';
import { collectGarbage } from './garbage.ts';
import { handleCatalog, handleManifest, handleReferrers, handleTags } from './manifest-handlers.ts';
import { RegistryProblem } from './problem.ts';
import { Repositories } from './repositories.ts';
import { parseRoute, type RegistryRoute } from './route.ts';
import { Uploads } from './uploads.ts';

export interface RegistryOptions {
  /** Folder of all blobs and repositories; one process at a time. */
  dir: string;
  log: Log;
  metrics?: Metrics;
  /** When given, requests need it: `Bearer TOKEN`, or Basic with any user and it as password. */
  token?: string;
  blobBytesMax?: number;
  uploadsMax?: number;
  uploadIdleMs?: number;
  /** A blob that no manifest names is removed when it was not used for so long; default a week. */
  unreferencedMs?: number;
}

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'];
const EXPIRE_EVERY_MS = 60_000;
const COLLECT_EVERY_MS = 3_600_000;
const UNREFERENCED_MS = 7 * 24 * 3_600_000;

/**
 * The embedded registry: distribution spec v1.1 (pull, push, discovery, deletion) over a folder.
 * Blobs are shared by all repositories; each repository's folder is an OCI image layout.
 */
export async function createRegistryApp(options: RegistryOptions): Promise<FastifyInstance> {
  const context = await openContext(options);
  const app = Fastify({
    logger: false,
    exposeHeadRoutes: false,
    forceCloseConnections: 'idle',
    keepAliveTimeout: 72_000,
    http: { maxHeaderSize: LIMITS.headerBytesMax },
    routerOptions: { maxParamLength: 1024 },
  });
  takeBodiesRaw(app);
  answerProblems(app, options.log);
  const count = options.metrics?.counter({
    name: 'hearth_registry_requests_total',
    help: 'Requests to the embedded registry',
    labelNames: ['method', 'status'],
  });
  app.addHook('onResponse', async (request, reply) => {
    count?.inc({ method: request.method, status: String(reply.statusCode) });
  });
  app.addHook('onRequest', async (request, reply) => {
    reply.header('docker-distribution-api-version', 'registry/2.0');
    requireToken(request, options.token);
  });
  const timers = keepClean(context, options);
  app.addHook('onClose', async () => {
    for (const timer of timers) clearInterval(timer);
    await context.uploads.close();
  });
  app.route({
    method: METHODS,
    url: '/v2/*',
    handler: async (request, reply) => {
      const [path = '', search = ''] = request.raw.url?.split('?', 2) ?? [];
      const query = Object.fromEntries(new URLSearchParams(search));
      return dispatch(context, { request, reply, query }, parseRoute(path));
    },
  });
  app.get('/v2', async () => ({}));
  return app;
}

async function openContext(options: RegistryOptions): Promise<RegistryContext> {
  const blobs = new BlobStore(options.dir);
  const repositories = new Repositories(options.dir);
  const uploads = new Uploads(options.dir, blobs, {
    blobBytesMax: options.blobBytesMax ?? LIMITS.layerBytesMax,
    uploadsMax: options.uploadsMax ?? 256,
    idleMs: options.uploadIdleMs ?? 3_600_000,
  });
  await blobs.init();
  await repositories.init();
  await uploads.init();
  return { blobs, repositories, uploads, manifestBytesMax: LIMITS.manifestBytesMax };
}

function keepClean(context: RegistryContext, options: RegistryOptions): NodeJS.Timeout[] {
  const { log } = options;
  const unreferencedMs = options.unreferencedMs ?? UNREFERENCED_MS;
  const expire = async (): Promise<void> => {
    const uploads = await context.uploads.expire(Date.now());
    if (uploads > 0) log.info({ uploads }, 'uploads expired');
  };
  const collect = async (): Promise<void> => {
    const removed = await collectGarbage(context, { usedBeforeMs: Date.now() - unreferencedMs });
    if (removed.links + removed.blobs > 0) log.info({ ...removed }, 'garbage removed');
  };
  const every = (ms: number, work: () => Promise<void>): NodeJS.Timeout =>
    setInterval(() => {
      work().catch((error: unknown) => log.warn({ err: error }, 'registry not cleaned'));
    }, ms).unref();
  return [every(EXPIRE_EVERY_MS, expire), every(COLLECT_EVERY_MS, collect)];
}

function dispatch(
  context: RegistryContext,
  call: Call,
  route: RegistryRoute | undefined,
): Promise<unknown> | unknown {
  switch (route?.kind) {
    case 'ping':
      return call.reply.send({});
    case 'catalog':
      return handleCatalog(context, call);
    case 'blob':
      return handleBlob(context, call, route);
    case 'uploads':
      return handleUploads(context, call, route);
    case 'upload':
      return handleUpload(context, call, route);
    case 'manifest':
      return handleManifest(context, call, route);
    case 'tags':
      return handleTags(context, call, route);
    case 'referrers':
      return handleReferrers(context, call, route);
    default:
      throw new RegistryProblem('NAME_UNKNOWN', 'no such endpoint');
  }
}

/** Bodies are read by the handlers, as streams: any type, any length. */
function takeBodiesRaw(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { bodyLimit: Number.MAX_SAFE_INTEGER }, (_request, _body, done) =>
    done(null),
  );
}

function answerProblems(app: FastifyInstance, log: Log): void {
  app.setErrorHandler((error, request, reply) => {
    const problem = error instanceof RegistryProblem ? error : fromUnknown(error);
    if (problem.status >= 500) log.error({ err: error, path: request.url }, 'request failed');
    if (problem.code === 'UNAUTHORIZED') reply.header('www-authenticate', 'Basic realm="hearth"');
    // A body that nobody read would be taken for the next request on this connection.
    if (!request.raw.complete) reply.header('connection', 'close');
    void reply.code(problem.status).type('application/json').send(problem.toBody());
  });
  app.setNotFoundHandler((_request, reply) => {
    const problem = new RegistryProblem('NAME_UNKNOWN', 'no such endpoint');
    void reply.code(404).send(problem.toBody());
  });
}

function fromUnknown(error: unknown): RegistryProblem {
  const { statusCode } = error as { statusCode?: number };
  if (statusCode !== undefined && statusCode < 500) {
    return new RegistryProblem('UNSUPPORTED', 'bad request', { status: statusCode });
  }
  return new RegistryProblem('UNSUPPORTED', 'internal error', { status: 500 });
}

function requireToken(request: FastifyRequest, token: string | undefined): void {
  if (token === undefined) return;
  const [scheme = '', value = ''] = (request.headers.authorization ?? '').split(' ', 2);
  const basic = Buffer.from(value, 'base64').toString('utf8');
  const given = Buffer.from(/^basic$/i.test(scheme) ? basic.slice(basic.indexOf(':') + 1) : value);
  const wanted = Buffer.from(token);
  if (given.length === wanted.length && timingSafeEqual(given, wanted)) return;
  throw new RegistryProblem('UNAUTHORIZED', 'authentication required');
}
