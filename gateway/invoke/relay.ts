import type { ServerResponse } from 'node:http';
import type { Dispatcher } from 'undici';
import { HearthError } from '../../lib/errors.ts';
import { LIMITS } from '../../lib/limits.ts';
import { responseHeaders } from './headers.ts';

/** How a relay ended. `failed`: the caller has been sent nothing. */
export type RelayEnd = { kind: 'answered' } | { kind: 'failed'; error: unknown; sent: boolean };

export interface RelayOptions {
  dispatcher: Dispatcher;
  request: Dispatcher.DispatchOptions;
  response: ServerResponse;
  /** The gateway's own header fields for the caller, asked for when the answer begins. */
  ownHeaders(): string[];
}

/** Informational answers that are passed over before an instance is taken for broken. */
const INFORMATIONAL_MAX = 16;
const NOTHING = Buffer.alloc(0);

/**
 * One try: sends the request to an instance and streams the answer to the caller with both sides'
 * backpressure. Once headers are out, a failure can only be told by closing the connection.
 */
export class Relay implements Dispatcher.DispatchHandler {
  readonly #options: RelayOptions;
  readonly #end = Promise.withResolvers<RelayEnd>();
  #controller: Dispatcher.DispatchController | undefined;
  #abortedBy: HearthError | undefined;
  #sent = false;
  #informational = 0;
  #isDone = false;
  /** Runs while the caller does not read. */
  #stalled: NodeJS.Timeout | undefined;

  constructor(options: RelayOptions) {
    this.#options = options;
  }

  run(): Promise<RelayEnd> {
    this.#options.dispatcher.dispatch(this.#options.request, this);
    return this.#end.promise;
  }

  /** Ends the try: the connection to the instance is closed. */
  abort(error: HearthError): void {
    if (this.#isDone || this.#abortedBy !== undefined) return;
    this.#abortedBy = error;
    if (this.#controller !== undefined) this.#controller.abort(error);
    else this.onResponseError(undefined, error);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    this.#sent = true;
    if (this.#abortedBy !== undefined) controller.abort(this.#abortedBy);
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    if (status < 200) {
      if (++this.#informational > INFORMATIONAL_MAX) this.abort(floodOf(this.#informational));
      return;
    }
    const { response, ownHeaders } = this.#options;
    const raw = controller.rawHeaders;
    const headers = responseHeaders(Array.isArray(raw) ? raw : []);
    response.on('drain', this.#onDrain);
    response.writeHead(status, [...headers, ...ownHeaders()]);
    // Sends the headers, as the first byte of the body may be long in coming (server-sent events).
    // Unlike flushHeaders() this writes their bytes as latin1, and in one go with what is there.
    response.write(NOTHING);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#options.response.write(chunk)) return;
    controller.pause();
    this.#stalled = setTimeout(() => this.abort(readerStalled()), LIMITS.stalledReaderMs);
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    const { response } = this.#options;
    const trailers = controller.rawTrailers;
    if (Array.isArray(trailers) && trailers.length > 0 && response.chunkedEncoding) {
      response.addTrailers(pairs(responseHeaders(trailers)));
    }
    response.end();
    this.#finish({ kind: 'answered' });
  }

  onResponseError(_controller: unknown, error: unknown): void {
    const { response } = this.#options;
    if (response.headersSent) {
      response.destroy();
      this.#finish({ kind: 'answered' });
    } else this.#finish({ kind: 'failed', error: this.#abortedBy ?? error, sent: this.#sent });
  }

  readonly #onDrain = (): void => {
    clearTimeout(this.#stalled);
    if (this.#controller?.paused === true) this.#controller.resume();
  };

  #finish(end: RelayEnd): void {
    if (this.#isDone) return;
    this.#isDone = true;
    clearTimeout(this.#stalled);
    this.#options.response.off('drain', this.#onDrain);
    this.#end.resolve(end);
  }
}

function floodOf(count: number): HearthError {
  return new HearthError('ResponseInvalid', `the instance sent ${count} informational answers`);
}

function readerStalled(): HearthError {
  return new HearthError('Interrupted', 'the caller has stopped reading the answer');
}

function pairs(flat: readonly string[]): [string, string][] {
  const out: [string, string][] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) out.push([flat[i] as string, flat[i + 1] as string]);
  return out;
}
