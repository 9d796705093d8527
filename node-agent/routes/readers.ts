import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import { HearthError } from '../../lib/errors.ts';
import { LIMITS } from '../../lib/limits.ts';
import { shuttingDown } from '../instances/node-faults.ts';

/** From the word that the server closes until the connections do. */
const END_MS = 500;

/** Answers that go on until their reader has gone: each holds a connection, so they are counted. */
export class Readers {
  readonly #what: string;
  readonly #max: number;
  readonly #closing = new AbortController();
  readonly #open = new Set<FastifyReply>();

  /** `what` is what they do, for the error: `read logs`. */
  constructor(what: string, max: number) {
    this.#what = what;
    this.#max = max;
  }

  /** Ends all, for the server is closing: also those that would never read their end. */
  close(): void {
    this.#closing.abort(shuttingDown());
    setTimeout(() => {
      for (const reply of this.#open) reply.raw.destroy();
    }, END_MS).unref();
  }

  /**
   * Counts one reader until its connection closes. The signal tells that it has gone, or that the
   * server closes.
   * @throws HearthError QueueFull
   */
  enter(reply: FastifyReply): AbortSignal {
    if (this.#open.size >= this.#max) {
      throw new HearthError('QueueFull', `${this.#open.size} readers ${this.#what} already`, {
        hint: 'end some of them, then try again',
      });
    }
    const gone = new AbortController();
    this.#open.add(reply);
    const watch = endStalled(reply.raw);
    reply.raw.once('close', () => {
      gone.abort();
      clearInterval(watch);
      this.#open.delete(reply);
    });
    return AbortSignal.any([gone.signal, this.#closing.signal]);
  }
}

/** One that takes no byte for so long has gone, though its connection stands. */
function endStalled(response: ServerResponse): NodeJS.Timeout {
  let before = -1;
  return setInterval(() => {
    const sent = response.socket?.bytesWritten ?? 0;
    if (response.writableNeedDrain && sent === before) response.destroy();
    before = sent;
  }, LIMITS.stalledReaderMs).unref();
}

/** Newline-delimited JSON as it comes. */
export function sendLines(reply: FastifyReply, lines: AsyncIterable<string>): FastifyReply {
  void reply.type('application/x-ndjson').header('cache-control', 'no-store');
  return reply.send(Readable.from(lines, { objectMode: false }));
}
