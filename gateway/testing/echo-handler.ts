import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import type { InstanceRecord } from '../../lib/records.ts';

/** What the fake instances have seen, for assertions. */
export interface Seen {
  /** Requests by path, as they arrived. */
  requests: { method: string; url: string; rawHeaders: string[] }[];
  /** Paths whose connection closed before the answer was complete. */
  aborted: string[];
}

type Behaviour = (request: IncomingMessage, response: ServerResponse) => void;

/** An instance that behaves as the first word of the path says; anything else is echoed. */
export function behaviours(seen: Seen, crash: (id: string) => void) {
  return (instance: InstanceRecord): RequestListener => {
    const table: Readonly<Record<string, Behaviour>> = {
      hang: () => undefined,
      crash: () => crash(instance.id),
      'crash-late': (_request, response) => {
        response.writeHead(200, { 'content-length': 100 });
        response.write('half');
        setTimeout(() => crash(instance.id), 20);
      },
      reset: (request) => request.socket.destroy(),
      stream: streamSlowly,
      count: countBytes,
      flood: (_request, response) => {
        const chunk = Buffer.alloc(64 * 1024, 'x');
        Readable.from(Array.from({ length: 800 }, () => chunk)).pipe(response);
      },
      early: (_request, response) => response.writeHead(401).end('no'),
      none: (_request, response) => response.writeHead(204).end(),
      unchanged: (_request, response) => response.writeHead(304, { etag: '"a"' }).end(),
      cookies: (_request, response) => {
        response.writeHead(200, [
          ...['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2', 'X-Mixed-Case', 'caf\u00e9'],
          ...['X-Hearth-Error-Type', 'Fake', 'X-Call-Id', 'fake', 'Content-Length', '2'],
        ]);
        response.end(Buffer.from('ok'));
      },
      trailers: (_request, response) => {
        response.writeHead(200, { trailer: 'x-sum' });
        response.write('body');
        response.addTrailers({ 'x-sum': '42' });
        response.end();
      },
      garbage: (request) => request.socket.end('HTTP/9 nonsense\r\n\r\n'),
      slow: (_request, response) => setTimeout(() => response.end('slow'), 100),
      id: (_request, response) => response.end(`${instance.revisionId} ${instance.id}`),
      big: (_request, response) => {
        response.writeHead(200, { 'content-length': 5_000_000 });
        response.end(Buffer.alloc(5_000_000, 'x'));
      },
    };
    return (request, response) => {
      const { method = '', url = '', rawHeaders } = request;
      seen.requests.push({ method, url, rawHeaders });
      response.on('close', () => {
        if (!response.writableFinished) seen.aborted.push(url);
      });
      const word = url.split(/[/?]/)[1] ?? '';
      (table[word] ?? echo)(request, response);
    };
  };
}

function echo(request: IncomingMessage, response: ServerResponse): void {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    response.setHeader('content-type', 'application/json');
    const body = Buffer.concat(chunks).toString();
    const { method, url, rawHeaders } = request;
    response.end(JSON.stringify({ method, url, rawHeaders, body }));
  });
}

function streamSlowly(_request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  let sent = 0;
  const timer = setInterval(() => {
    response.write(`data: ${sent}\n\n`);
    if (++sent < 5) return;
    clearInterval(timer);
    response.end();
  }, 40);
  response.on('close', () => clearInterval(timer));
}

function countBytes(request: IncomingMessage, response: ServerResponse): void {
  let bytes = 0;
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  request.on('end', () => response.end(String(bytes)));
}
