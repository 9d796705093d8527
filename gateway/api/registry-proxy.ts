import { timingSafeEqual } from 'node:crypto';
import httpProxy from '@fastify/http-proxy';
import type { FastifyInstance } from 'fastify';
import { HearthError } from '../../lib/errors.ts';

export interface RegistryProxyOptions {
  registryUrl: string;
  /** What users send: as Bearer, or as the password of Basic with any user name. */
  userToken: string;
  clusterToken: string;
}

/** `/v2/…`: the platform's registry for `docker login`, `docker push`, `skopeo`. */
export function addRegistryProxy(app: FastifyInstance, options: RegistryProxyOptions): void {
  const { registryUrl, userToken, clusterToken } = options;
  void app.register(async (scope) => {
    scope.addHook('onRequest', async (request, reply) => {
      if (isToken(request.headers.authorization, userToken)) return;
      void reply.header('www-authenticate', 'Basic realm="hearth"');
      throw new HearthError('Unauthorized', 'the registry needs the token', {
        hint: 'docker login with any user name and the token as password',
      });
    });
    await scope.register(httpProxy, {
      upstream: registryUrl,
      prefix: '/v2',
      rewritePrefix: '/v2',
      replyOptions: {
        rewriteRequestHeaders: (_request, headers) => ({
          ...headers,
          authorization: `Bearer ${clusterToken}`,
        }),
        rewriteHeaders: (headers) => relativeLocation(headers, registryUrl),
      },
    });
  });
}

/** Whether an `Authorization` field carries the token; compared in constant time. */
export function isToken(header: string | undefined, token: string): boolean {
  const [scheme = '', value = ''] = (header ?? '').split(' ', 2);
  const given = scheme.toLowerCase() === 'basic' ? passwordOf(value) : value;
  if (!['basic', 'bearer'].includes(scheme.toLowerCase())) return false;
  const [a, b] = [Buffer.from(given), Buffer.from(token)];
  return a.length === b.length && timingSafeEqual(a, b);
}

function passwordOf(value: string): string {
  const text = Buffer.from(value, 'base64').toString();
  return text.slice(text.indexOf(':') + 1);
}

/** A client of the gateway cannot follow a `Location` that names the registry behind it. */
function relativeLocation<H extends { location?: string | string[] | undefined }>(
  headers: H,
  registryUrl: string,
): H {
  const { location } = headers;
  if (typeof location !== 'string' || !location.startsWith(registryUrl)) return headers;
  return { ...headers, location: location.slice(registryUrl.length) };
}
