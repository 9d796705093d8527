import type { ServerResponse } from 'node:http';

/** A source of chunks: text, bytes, or what turns into text. */
export type Chunks = AsyncIterator<unknown> | Iterator<unknown>;

/**
 * Sends what `chunks` yields as it comes, no faster than the caller reads. Ends the source when the
 * caller is gone. `writeHead` is called before the first byte, with the first chunk.
 *
 * @throws what the source throws
 */
export async function writeChunks(
  response: ServerResponse,
  chunks: Chunks,
  writeHead: (first: unknown) => void,
): Promise<void> {
  let isOpen = true;
  const stop = (): void => {
    if (isOpen) void endSource(chunks);
    isOpen = false;
  };
  response.once('close', stop);
  try {
    let item = await firstOrHeaders(response, chunks, writeHead);
    // The answer to HEAD ends with its head, however long the source could go on.
    while (!item.done && !response.destroyed && response.req.method !== 'HEAD') {
      if (!response.write(asChunk(item.value))) await drained(response);
      item = await chunks.next();
    }
    if (item.done) isOpen = false;
  } catch (error) {
    if (!response.destroyed) throw error;
  } finally {
    response.off('close', stop);
    stop();
  }
  if (!response.destroyed) response.end();
}

/** Its failure has nobody to hear it. A generator that waits ends at its next step. */
async function endSource(chunks: Chunks): Promise<void> {
  try {
    await chunks.return?.();
  } catch {}
}

/** Headers leave at once when the first chunk is not there yet: a client waits for them. */
async function firstOrHeaders(
  response: ServerResponse,
  chunks: Chunks,
  writeHead: (first: unknown) => void,
): Promise<IteratorResult<unknown>> {
  const next = Promise.resolve(chunks.next());
  // Heard below, unless the head is refused first.
  next.catch(() => {});
  const soon = await Promise.race([
    next,
    new Promise<undefined>((go) => setImmediate(go, undefined)),
  ]);
  if (soon !== undefined) {
    writeHead(soon.done === true ? undefined : soon.value);
    return soon;
  }
  writeHead(undefined);
  response.flushHeaders();
  return next;
}

function drained(response: ServerResponse): Promise<void> {
  if (response.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done);
      response.off('close', done);
      resolve();
    };
    response.on('drain', done);
    response.on('close', done);
  });
}

/** What `ServerResponse.write` takes. Objects become a line of JSON. */
export function asChunk(value: unknown): string | Uint8Array {
  if (typeof value === 'string' || value instanceof Uint8Array) return value;
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (ArrayBuffer.isView(value)) {
    return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  }
  return typeof value === 'object' ? `${JSON.stringify(value)}\n` : String(value);
}
