import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { HearthError } from '../errors.ts';
import { isRetryableError, retryDelayMs } from './registry-failure.ts';
import type { Descriptor } from './types.ts';

/** Tries in a row without a byte. */
const RESUMES_MAX = 3;

/**
 * The bytes of a blob, checked against digest and size on the way; a connection that breaks is
 * taken up again from where it broke.
 * @throws HearthError ImageCorrupt at the end, when the bytes are not those of the descriptor
 */
export async function* downloadBlob(options: {
  descriptor: Pick<Descriptor, 'digest' | 'size'>;
  body: AsyncIterable<Buffer>;
  /** The bytes from `offset` on. */
  resume(offset: number): Promise<AsyncIterable<Buffer>>;
}): AsyncGenerator<Buffer> {
  const { digest, size } = options.descriptor;
  const hash = createHash('sha256');
  let offset = 0;
  let failures = 0;
  let body: AsyncIterable<Buffer> | undefined = options.body;
  while (body !== undefined) {
    const failed: { error?: unknown } = {};
    for await (const chunk of until(body, failed)) {
      offset += chunk.length;
      if (offset > size) throw wrongSize(digest, `more than ${size}`, size);
      hash.update(chunk);
      failures = 0;
      yield chunk;
    }
    body = undefined;
    if (failed.error === undefined) break;
    if (!isRetryableError(failed.error) || ++failures > RESUMES_MAX) throw failed.error;
    await sleep(retryDelayMs(failures - 1));
    body = await options.resume(offset);
  }
  if (offset !== size) throw wrongSize(digest, String(offset), size);
  const found = `sha256:${hash.digest('hex')}`;
  if (found !== digest) {
    throw new HearthError('ImageCorrupt', `${digest}: content has digest ${found}`, {
      details: { expected: digest, found },
    });
  }
}

/** Ends at an error and tells it: what the reader of a chunk throws is not mixed up with it. */
async function* until(
  body: AsyncIterable<Buffer>,
  failed: { error?: unknown },
): AsyncGenerator<Buffer> {
  const chunks = body[Symbol.asyncIterator]();
  try {
    for (;;) {
      let next: IteratorResult<Buffer>;
      try {
        next = await chunks.next();
      } catch (error) {
        failed.error = error;
        return;
      }
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    await chunks.return?.();
  }
}

/** The error for a blob of the wrong length. */
export function wrongSize(digest: string, found: string, expected: number): HearthError {
  return new HearthError('ImageCorrupt', `${digest}: ${found} bytes, expected ${expected}`, {
    details: { digest, found, expected },
  });
}
