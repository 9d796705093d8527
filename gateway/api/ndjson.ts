import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';

/** Sends values one JSON object a line, as they come; an error of the source ends the connection. */
export function sendLines(reply: FastifyReply, lines: AsyncIterable<string>): FastifyReply {
  void reply.type('application/x-ndjson').header('cache-control', 'no-store');
  return reply.send(Readable.from(lines, { objectMode: false }));
}

/** A signal that aborts when the reader is gone, also one that has gone already. */
export function goneSignal(reply: FastifyReply): AbortSignal {
  const gone = new AbortController();
  if (reply.raw.closed) gone.abort();
  else reply.raw.once('close', () => gone.abort());
  return gone.signal;
}
