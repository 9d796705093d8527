import type { ServerResponse } from 'node:http';
import { errorText } from './guest-error.ts';

/**
 * The handler failed: its stack goes to stderr with the call id, and the caller gets the function's
 * own 500. Once bytes have left, the connection breaks instead: a cut body must not look whole.
 */
export function answerFailure(response: ServerResponse, error: unknown, callId: string): void {
  process.stderr.write(`call ${callId} failed: ${errorText(error)}\n`);
  if (response.headersSent) {
    if (!response.writableEnded) response.destroy();
    return;
  }
  const body = JSON.stringify({ error: 'the function failed; its log says why', callId });
  answerText(response, 500, body);
}

/** A small JSON answer of the guest itself. */
export function answerText(response: ServerResponse, status: number, body: string): void {
  for (const name of response.getHeaderNames()) response.removeHeader(name);
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
  });
  response.end(body);
}
