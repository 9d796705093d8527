import type { ServerResponse } from 'node:http';
import { isResponseLike, writeResponse } from './write-response.ts';
import { asChunk, type Chunks, writeChunks } from './write-stream.ts';

const TEXT = 'text/plain; charset=utf-8';
const BYTES = 'application/octet-stream';

/**
 * Answers with what a handler returned: a Response, text, bytes, a Blob, a stream or (async)
 * generator, nothing (204), or anything else as JSON. Headers that the handler set stay.
 */
export function writeResult(response: ServerResponse, result: unknown): void | Promise<void> {
  if (typeof result === 'string') return writeWhole(response, TEXT, Buffer.from(result));
  if (result === undefined || result === null) {
    response.writeHead(204).end();
    return;
  }
  if (typeof result !== 'object') return writeJson(response, result);
  if (isResponseLike(result)) return writeResponse(response, result);
  if (ArrayBuffer.isView(result) || result instanceof ArrayBuffer) {
    return writeWhole(response, BYTES, asChunk(result) as Uint8Array);
  }
  const chunks = chunksOf(result);
  if (chunks !== undefined) {
    return writeChunks(response, chunks, (first) => {
      response.writeHead(200, { 'content-type': typeof first === 'string' ? TEXT : BYTES });
    });
  }
  if (isBlobLike(result)) return writeBlob(response, result);
  return writeJson(response, result);
}

function writeWhole(response: ServerResponse, type: string, body: Uint8Array): void {
  response.writeHead(200, { 'content-type': type, 'content-length': body.byteLength });
  response.end(body);
}

function writeJson(response: ServerResponse, value: unknown): void {
  const text = JSON.stringify(value);
  if (text === undefined) throw new TypeError(`cannot answer with a ${typeof value}`);
  writeWhole(response, 'application/json', Buffer.from(text));
}

interface BlobLike {
  type: string;
  arrayBuffer(): Promise<ArrayBuffer>;
}

function isBlobLike(value: object): value is BlobLike {
  const blob = value as Partial<BlobLike> & { stream?: unknown };
  return typeof blob.arrayBuffer === 'function' && typeof blob.stream === 'function';
}

async function writeBlob(response: ServerResponse, blob: BlobLike): Promise<void> {
  writeWhole(response, blob.type || BYTES, new Uint8Array(await blob.arrayBuffer()));
}

/** The iterator of a stream or generator; lists and maps are data, not streams. */
function chunksOf(value: object): Chunks | undefined {
  if (Symbol.asyncIterator in value) {
    return (value as AsyncIterable<unknown>)[Symbol.asyncIterator]();
  }
  const isGenerator = typeof (value as Partial<Iterator<unknown>>).next === 'function';
  return isGenerator ? (value as Iterator<unknown>) : undefined;
}
