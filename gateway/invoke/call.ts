import type { IncomingMessage, ServerResponse } from 'node:http';
import { HearthError } from '../../lib/errors.ts';
import { newCallId } from '../../lib/ids.ts';
import { OTHER } from '../metrics.ts';
import { type CallFields, saneCallId } from './headers.ts';
import { hasBody } from './request-body.ts';

/** One invocation from its first byte to its last. */
export class Call {
  readonly id: string;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** As the caller wrote it. */
  readonly url: string;
  /** Unix time and monotonic time of its begin, in milliseconds. */
  readonly startedAtMs = Date.now();
  readonly startedMs = performance.now();
  readonly hasBody: boolean;
  /** Label in metrics: the name of a function that is there. */
  functionName = OTHER;
  /** Total milliseconds the call may take until the first byte of its answer. */
  timeoutMs = 0;
  /** Whether the caller was told to send its body. */
  #continued = false;
  #onAbort: ((error: HearthError) => void) | undefined;
  #abortedBy: HearthError | undefined;

  constructor(request: IncomingMessage, response: ServerResponse, url: string) {
    this.request = request;
    this.response = response;
    this.url = url;
    this.id = saneCallId(request.headers['x-call-id']) ?? newCallId();
    this.hasBody = hasBody(request);
    response.on('close', () => {
      if (!response.writableFinished) {
        this.#abort(new HearthError('Interrupted', 'the caller closed the connection'));
      }
    });
  }

  get deadlineMs(): number {
    return this.startedMs + this.timeoutMs;
  }

  /** Whether it may be sent twice (RFC 9110 9.2.2, and nothing to send again). */
  get isRepeatable(): boolean {
    const { method } = this.request;
    return (method === 'GET' || method === 'HEAD') && !this.hasBody;
  }

  get fields(): CallFields {
    const { request } = this;
    return {
      callId: this.id,
      startedAtMs: this.startedAtMs,
      deadlineAtMs: this.startedAtMs + this.timeoutMs,
      remoteAddress: request.socket.remoteAddress ?? 'unknown',
      host: request.headers.host ?? '',
      proto: 'encrypted' in request.socket ? 'https' : 'http',
    };
  }

  /** Lets a caller send its body that waits for leave to do so (RFC 9110 10.1.1). */
  continue(): void {
    if (this.#continued || this.request.headers.expect === undefined) return;
    this.#continued = true;
    this.response.writeContinue();
  }

  /** Whom to tell when the caller goes; told at once if it has gone. `undefined`: nobody. */
  set onAbort(listener: ((error: HearthError) => void) | undefined) {
    this.#onAbort = listener;
    if (this.#abortedBy !== undefined) listener?.(this.#abortedBy);
  }

  #abort(error: HearthError): void {
    this.#abortedBy = error;
    this.#onAbort?.(error);
  }
}
