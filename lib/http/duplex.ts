import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

export interface DuplexOptions {
  method: string;
  headers: Readonly<Record<string, string>>;
  body: Readable;
  signal?: AbortSignal;
}

/**
 * A request whose headers leave at once, on a connection of its own: undici holds them back until the body's first
 * bytes, and a program that prompts before it is typed at would not even begin.
 */
export function openDuplex(url: URL, options: DuplexOptions): Promise<IncomingMessage> {
  const { method, headers, body, signal } = options;
  return new Promise((resolve, reject) => {
    const open = url.protocol === 'https:' ? httpsRequest : httpRequest;
    const request = open(url, {
      method,
      headers,
      agent: false,
      ...(signal === undefined ? {} : { signal }),
    });
    request.once('response', resolve);
    request.on('error', reject);
    request.flushHeaders();
    // A body that breaks off breaks the request, which says so; one that nobody reads any more is no failure
    pipeline(body, request).catch(() => undefined);
  });
}
