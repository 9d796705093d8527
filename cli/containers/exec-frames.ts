import { HearthError } from '../../lib/errors.ts';

/** One frame of an exec's answer (lib/container-api.ts): output, or how the program ended. */
export interface ExecFrame {
  kind: 'stdout' | 'stderr' | 'end';
  payload: Buffer;
}

const KINDS: Readonly<Record<number, ExecFrame['kind']>> = { 1: 'stdout', 2: 'stderr', 3: 'end' };
const HEADER_BYTES = 8;
const PAYLOAD_BYTES_MAX = 16 * 1024 * 1024;

/** Whole frames out of chunks of any size. */
export class ExecFrames {
  #rest: Buffer = Buffer.alloc(0);

  /** @throws HearthError ResponseInvalid for bytes that are no frame */
  push(chunk: Buffer): ExecFrame[] {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const frames: ExecFrame[] = [];
    while (this.#rest.length >= HEADER_BYTES) {
      const kind = KINDS[this.#rest[0] ?? 0];
      const length = this.#rest.readUInt32BE(4);
      if (kind === undefined || length > PAYLOAD_BYTES_MAX) {
        throw new HearthError('ResponseInvalid', 'the output of the program came in no known form');
      }
      if (this.#rest.length < HEADER_BYTES + length) break;
      frames.push({ kind, payload: this.#rest.subarray(HEADER_BYTES, HEADER_BYTES + length) });
      this.#rest = this.#rest.subarray(HEADER_BYTES + length);
    }
    return frames;
  }
}
