import type { ServerResponse } from 'node:http';
import type { ExecExit } from '../../lib/container-api.ts';

/** What a frame's first byte says: output of a stream, or how the program ended. */
export const FRAME = { stdout: 1, stderr: 2, end: 3 } as const;

const HEADER_BYTES = 8;

/** A frame as Docker's streams have them: 1 byte kind, 3 bytes 0, 4 bytes length, payload. */
export function frame(kind: (typeof FRAME)[keyof typeof FRAME], payload: Buffer): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header[0] = kind;
  header.writeUInt32BE(payload.length, HEADER_BYTES - 4);
  return Buffer.concat([header, payload]);
}

/** The last frame. */
export function endFrame(exit: ExecExit): Buffer {
  return frame(FRAME.end, Buffer.from(JSON.stringify(exit)));
}

/** Resolves when there is room for more; false when nobody reads any more. */
export async function send(response: ServerResponse, bytes: Buffer): Promise<boolean> {
  if (response.destroyed) return false;
  if (response.write(bytes)) return true;
  return await new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done).off('close', done);
      resolve(!response.destroyed);
    };
    response.once('drain', done).once('close', done);
  });
}
