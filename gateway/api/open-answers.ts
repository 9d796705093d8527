import type { FastifyReply } from 'fastify';
import { HearthError } from '../../lib/errors.ts';
import { goneSignal } from './ndjson.ts';

/** Answers that may stay open for long, of which there are so many at once: each holds connections. */
export class OpenAnswers {
  readonly #what: string;
  readonly #max: number;
  #count = 0;

  /** `what` they are is for the error: `readers of logs`. */
  constructor(what: string, max: number) {
    this.#what = what;
    this.#max = max;
  }

  /**
   * Counts one until its connection closes; the signal aborts then.
   * @throws HearthError QueueFull; an AbortError when its caller has gone already
   */
  enter(reply: FastifyReply): AbortSignal {
    if (this.#count >= this.#max) {
      throw new HearthError('QueueFull', `there are ${this.#count} ${this.#what} already`, {
        hint: 'end some of them, then try again',
      });
    }
    const signal = goneSignal(reply);
    // Who left before, as while a node was looked for, has closed and will not again
    signal.throwIfAborted();
    this.#count++;
    signal.addEventListener('abort', () => this.#count--, { once: true });
    return signal;
  }
}
