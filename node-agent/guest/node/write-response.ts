import type { ServerResponse } from 'node:http';
import { writeChunks } from './write-stream.ts';

/** A Response by its form: Node's own, or one of a library. */
export interface ResponseLike {
  status: number;
  statusText?: string;
  url?: string;
  headers: Headers;
  body: AsyncIterable<Uint8Array> | null;
}

/** By form and not by `instanceof`, which would load all of fetch for a handler that needs none. */
export function isResponseLike(value: object): value is ResponseLike {
  const response = value as Partial<ResponseLike> & { arrayBuffer?: unknown };
  return (
    typeof response.status === 'number' &&
    typeof response.headers?.forEach === 'function' &&
    typeof response.arrayBuffer === 'function' &&
    'body' in response
  );
}

/** Sends status, headers and body; the body streams. */
export async function writeResponse(response: ServerResponse, from: ResponseLike): Promise<void> {
  // RFC 9110, 15: a final status; Response.error() has 0.
  if (from.status < 200 || from.status > 599) {
    throw new RangeError(`a Response must have a status from 200 to 599: it is ${from.status}`);
  }
  const headers = flatHeaders(from);
  const writeHead = (): void => {
    if (from.statusText) response.writeHead(from.status, from.statusText, headers);
    else response.writeHead(from.status, headers);
  };
  if (from.body === null) {
    const isBare = from.status === 204 || from.status === 304 || from.headers.has('content-length');
    if (!isBare) headers.push('content-length', '0');
    writeHead();
    response.end();
    return;
  }
  await writeChunks(response, from.body[Symbol.asyncIterator](), writeHead);
}

/** Hop-by-hop fields (RFC 9110, 7.6.1) belong to the connection, which is not the handler's. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

function flatHeaders(from: ResponseLike): string[] {
  // fetch() has decoded the body of a response that came over the network, and left its headers.
  const isDecoded = Boolean(from.url) && from.headers.has('content-encoding');
  const flat: string[] = [];
  from.headers.forEach((value, name) => {
    if (HOP_BY_HOP.has(name)) return;
    if (isDecoded && (name === 'content-encoding' || name === 'content-length')) return;
    flat.push(name, value);
  });
  return flat;
}
