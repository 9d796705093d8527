import type { IncomingMessage } from 'node:http';

const LINGER_MS = 1_000;

/**
 * Reads and drops what is left of a body after its answer, for a moment: a connection that is
 * closed over unread bytes is reset, and the caller may lose the answer with it. One that goes on
 * sending, however slowly, holds its connection no longer.
 */
export function discardRest(request: IncomingMessage): void {
  if (request.complete || request.destroyed) return;
  const timer = setTimeout(() => request.destroy(), LINGER_MS);
  request.once('close', () => clearTimeout(timer));
  request.resume();
}
