import type { IncomingMessage } from 'node:http';
import type { CallContext } from './context.ts';
import { first } from './request-url.ts';

type Multi = Record<string, string[]>;

/**
 * The event of API Gateway's payload format 2.0 and of function URLs, with the fields of format
 * 1.0 beside it (`httpMethod`, `path`, `multiValueHeaders` …), which have other names.
 */
export function lambdaEvent(
  message: IncomingMessage,
  body: Buffer,
  context: CallContext,
): Record<string, unknown> {
  const target = message.url ?? '/';
  const cut = target.indexOf('?');
  const path = cut < 0 ? target : target.slice(0, cut);
  const rawQueryString = cut < 0 ? '' : target.slice(cut + 1);
  const multiHeaders = multiValueHeaders(message.rawHeaders);
  const multiQuery = multiValueQuery(rawQueryString);
  const isText = isTextBody(message.headers['content-type'], message.headers['content-encoding']);
  return {
    version: '2.0',
    routeKey: '$default',
    rawPath: path,
    rawQueryString,
    ...cookiesOf(message),
    headers: mapOf(multiHeaders, (values) => values.join(',')),
    ...(cut < 0 ? {} : { queryStringParameters: mapOf(multiQuery, (v) => v.join(',')) }),
    requestContext: requestContext(message, path, context),
    ...(body.length === 0 ? {} : { body: body.toString(isText ? 'utf8' : 'base64') }),
    isBase64Encoded: body.length > 0 && !isText,
    // Format 1.0
    resource: '/{proxy+}',
    path,
    httpMethod: message.method ?? 'GET',
    multiValueHeaders: multiHeaders,
    multiValueQueryStringParameters: cut < 0 ? null : multiQuery,
    pathParameters: { proxy: path.slice(1) },
    stageVariables: null,
  };
}

function requestContext(
  message: IncomingMessage,
  path: string,
  context: CallContext,
): Record<string, unknown> {
  const method = message.method ?? 'GET';
  const sourceIp = first(message.headers['x-forwarded-for']) ?? message.socket.remoteAddress ?? '';
  const userAgent = message.headers['user-agent'] ?? '';
  const protocol = `HTTP/${message.httpVersion}`;
  const now = new Date();
  return {
    accountId: 'anonymous',
    apiId: context.function,
    domainName: message.headers['x-forwarded-host'] ?? message.headers.host ?? '',
    domainPrefix: context.function,
    http: { method, path, protocol, sourceIp, userAgent },
    requestId: context.callId,
    routeKey: '$default',
    stage: '$default',
    time: now.toISOString(),
    timeEpoch: now.getTime(),
    // Format 1.0
    httpMethod: method,
    path,
    protocol,
    requestTimeEpoch: now.getTime(),
    identity: { sourceIp, userAgent },
  };
}

function cookiesOf(message: IncomingMessage): { cookies?: string[] } {
  const cookie = message.headers.cookie;
  return cookie === undefined ? {} : { cookies: cookie.split(/;\s*/) };
}

function multiValueHeaders(raw: readonly string[]): Multi {
  const headers = new Map<string, string[]>();
  for (let i = 0; i + 1 < raw.length; i += 2) {
    append(headers, (raw[i] ?? '').toLowerCase(), raw[i + 1] ?? '');
  }
  return Object.fromEntries(headers);
}

function multiValueQuery(query: string): Multi {
  const parameters = new Map<string, string[]>();
  for (const [name, value] of new URLSearchParams(query)) append(parameters, name, value);
  return Object.fromEntries(parameters);
}

function append(map: Map<string, string[]>, name: string, value: string): void {
  const values = map.get(name);
  if (values === undefined) map.set(name, [value]);
  else values.push(value);
}

function mapOf(multi: Multi, join: (values: string[]) => string): Record<string, string> {
  return Object.fromEntries(Object.entries(multi).map(([name, values]) => [name, join(values)]));
}

const TEXT_TYPE =
  /^(text\/|application\/(.+\+)?(json|xml)|application\/(x-www-form-urlencoded|javascript|graphql))/i;

/** Whether a body goes into the event as text; all else as base64. */
function isTextBody(type: string | undefined, encoding: string | undefined): boolean {
  return type !== undefined && TEXT_TYPE.test(type) && (encoding ?? 'identity') === 'identity';
}
