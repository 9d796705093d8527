/**
 * Frames between engine and launcher: 4 bytes length (little endian), then JSON. JSON costs about
 * 6 µs for the 1 KiB of a start, against milliseconds of the start itself, and a frame can be read
 * by eye in strace; a binary form would save nothing that can be measured.
 */
const HEADER_BYTES = 4;

/** Largest frame either side takes: 127 layers of 4 KiB paths and 4 KiB of variables fit. */
export const FRAME_BYTES_MAX = 4 * 1024 * 1024;

/** One message as bytes. */
export function encodeFrame(message: unknown): Buffer {
  const body = Buffer.from(JSON.stringify(message));
  if (body.length > FRAME_BYTES_MAX) {
    throw new Error(`frame must be <= ${FRAME_BYTES_MAX} bytes: current size is ${body.length}`);
  }
  const frame = Buffer.allocUnsafe(HEADER_BYTES + body.length);
  frame.writeUInt32LE(body.length, 0);
  body.copy(frame, HEADER_BYTES);
  return frame;
}

/** Cuts a byte stream into messages; keeps what is not whole yet. */
export class FrameReader {
  #held: Buffer = Buffer.alloc(0);

  /** The messages that `chunk` completes. */
  push(chunk: Buffer): unknown[] {
    this.#held = this.#held.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#held, chunk]);
    const messages: unknown[] = [];
    for (let body = this.#take(); body !== undefined; body = this.#take()) {
      messages.push(JSON.parse(body.toString()));
    }
    return messages;
  }

  #take(): Buffer | undefined {
    if (this.#held.length < HEADER_BYTES) return undefined;
    const length = this.#held.readUInt32LE(0);
    if (length > FRAME_BYTES_MAX) throw new Error(`frame too large: ${length} bytes`);
    if (this.#held.length < HEADER_BYTES + length) return undefined;
    const body = this.#held.subarray(HEADER_BYTES, HEADER_BYTES + length);
    this.#held = this.#held.subarray(HEADER_BYTES + length);
    return body;
  }
}
