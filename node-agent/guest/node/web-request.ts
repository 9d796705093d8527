import type { IncomingMessage } from 'node:http';
import type { CallContext } from './context.ts';
import { requestUrl } from './request-url.ts';

/**
 * The call as a Request. Its body is read from the connection when the handler reads it; its
 * signal is the call's.
 */
export function webRequest(message: IncomingMessage, context: CallContext): Request {
  const method = message.method ?? 'GET';
  const hasBody =
    method !== 'GET' &&
    method !== 'HEAD' &&
    (message.headers['transfer-encoding'] !== undefined ||
      Number(message.headers['content-length'] ?? 0) > 0);
  const request = new Request(requestUrl(message), {
    method,
    headers: headerPairs(message.rawHeaders),
    ...(hasBody ? { body: bodyOf(message), duplex: 'half' } : {}),
  });
  // Given to the constructor it would cost a controller and a timer for every call.
  Object.defineProperty(request, 'signal', { get: () => context.signal, configurable: true });
  return request;
}

function headerPairs(raw: readonly string[]): [string, string][] {
  const pairs: [string, string][] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) pairs.push([raw[i] ?? '', raw[i + 1] ?? '']);
  return pairs;
}

function bodyOf(message: IncomingMessage): ReadableStream<Uint8Array> {
  const { Readable } = process.getBuiltinModule('node:stream');
  return Readable.toWeb(message) as ReadableStream<Uint8Array>;
}
