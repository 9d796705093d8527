import type { IncomingMessage } from 'node:http';
import type { CallContext } from './context.ts';
import { requestUrl } from './request-url.ts';

/**
 * The call as Node's own Request. Its body is read from the connection when the handler reads it;
 * its signal is the call's. `body` is given when somebody already made a stream of it.
 */
export function webRequest(
  message: IncomingMessage,
  context: CallContext,
  body: ReadableStream<Uint8Array> | null = bodyStream(message),
): Request {
  const request = new Request(requestUrl(message), {
    method: message.method ?? 'GET',
    headers: headerPairs(message.rawHeaders),
    ...(body === null ? {} : { body, duplex: 'half' }),
  });
  // Given to the constructor it would cost a controller and a timer for every call.
  Object.defineProperty(request, 'signal', { get: () => context.signal, configurable: true });
  return request;
}

/** The body as a stream; null for a call without one, and for GET and HEAD as in a Request. */
export function bodyStream(message: IncomingMessage): ReadableStream<Uint8Array> | null {
  if (!hasBody(message)) return null;
  const { Readable } = process.getBuiltinModule('node:stream');
  return Readable.toWeb(message) as ReadableStream<Uint8Array>;
}

/** Whether a body follows the head (RFC 9112, 6.3). */
export function hasBody({ method, headers }: IncomingMessage): boolean {
  if (method === 'GET' || method === 'HEAD') return false;
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

function headerPairs(raw: readonly string[]): [string, string][] {
  const pairs: [string, string][] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) pairs.push([raw[i] ?? '', raw[i + 1] ?? '']);
  return pairs;
}
