import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import { HearthError } from '../../lib/errors.ts';

/** Answers that go on until their reader has gone: each holds a connection, so they are counted. */
export class Readers {
  readonly #what: string;
  readonly #max: number;
  readonly #closing = new AbortController();
  #count = 0;

  /** `what` is what they do, for the error: `follow logs`. */
  constructor(what: string, max: number) {
    this.#what = what;
    this.#max = max;
  }

  get count(): number {
    return this.#count;
  }

  /** Ends all: the server is closing. */
  close(): void {
    this.#closing.abort();
  }

  /**
   * Counts one reader until its connection closes. The signal tells that it has gone, or that the
   * server closes.
   * @throws HearthError QueueFull
   */
  enter(reply: FastifyReply): AbortSignal {
    if (this.#count >= this.#max) {
      throw new HearthError('QueueFull', `${this.#count} readers ${this.#what} already`, {
        hint: 'end some of them, then try again',
      });
    }
    this.#count++;
    const gone = new AbortController();
    reply.raw.once('close', () => {
      gone.abort();
      this.#count--;
    });
    return AbortSignal.any([gone.signal, this.#closing.signal]);
  }
}

/** Newline-delimited JSON as it comes. */
export function sendLines(reply: FastifyReply, lines: AsyncIterable<string>): FastifyReply {
  void reply.type('application/x-ndjson').header('cache-control', 'no-store');
  return reply.send(Readable.from(lines, { objectMode: false }));
}
