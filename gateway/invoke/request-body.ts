import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { HearthError } from '../../lib/errors.ts';
import { formatBytes } from '../../lib/units.ts';

/** Whether the request carries a body (RFC 9112 6.3). */
export function hasBody(request: IncomingMessage): boolean {
  if (request.headers['transfer-encoding'] !== undefined) return true;
  const length = request.headers['content-length'];
  return length !== undefined && length !== '0';
}

/** @throws HearthError PayloadTooLarge when the request announces more than `bytesMax` */
export function requireBodyFits(request: IncomingMessage, bytesMax: number): void {
  const length = Number(request.headers['content-length'] ?? 0);
  if (length > bytesMax) throw tooLarge(bytesMax);
}

function tooLarge(bytesMax: number): HearthError {
  return new HearthError(
    'PayloadTooLarge',
    `the body exceeds the limit of ${formatBytes(bytesMax)}`,
  );
}

/**
 * The body of one try to reach an instance. It pulls from the request as it is read, counts, and
 * leaves the request and its connection alone when the try ends, so that another try may follow
 * (nothing has been read until a connection stood) and an error can still be answered.
 */
export class RequestBody extends Readable {
  readonly #source: IncomingMessage;
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(source: IncomingMessage, options: { bytesMax: number }) {
    super({ highWaterMark: 64 * 1024 });
    this.#source = source;
    this.#bytesMax = options.bytesMax;
    // Whoever sends it listens while it does; an error after that concerns nobody.
    this.on('error', () => undefined);
  }

  get hasBeenRead(): boolean {
    return this.#bytes > 0;
  }

  override _construct(done: () => void): void {
    this.#source.on('data', this.#onData).on('end', this.#onEnd);
    this.#source.on('close', this.#onClose).on('error', this.#onClose);
    this.#source.pause();
    done();
  }

  override _read(): void {
    if (this.#source.readableEnded) this.push(null);
    else this.#source.resume();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#source.off('data', this.#onData).off('end', this.#onEnd);
    this.#source.off('close', this.#onClose).off('error', this.#onClose);
    this.#source.pause();
    done(error);
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#bytes += chunk.length;
    if (this.#bytes > this.#bytesMax) this.destroy(tooLarge(this.#bytesMax));
    else if (!this.push(chunk)) this.#source.pause();
  };

  readonly #onEnd = (): void => {
    this.push(null);
  };

  readonly #onClose = (): void => {
    if (this.#source.complete) return;
    this.destroy(new HearthError('Interrupted', 'the caller closed the connection'));
  };
}
