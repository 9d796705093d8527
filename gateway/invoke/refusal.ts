import type { IncomingMessage, ServerResponse } from 'node:http';
import type { HearthError } from '../../lib/errors.ts';
import { startTime } from './headers.ts';

export interface RefusalContext {
  callId: string;
  startedAtMs: number;
  /** The connection is closed after the answer. */
  isLast: boolean;
  /** Whether the caller may read the function's last lines. */
  showsDetails: boolean;
}

/**
 * Whether a caller, who needs no token, sits on this machine: who develops a function sees why it
 * does not start, the rest of the world does not see its logs. What came through a proxy came from
 * elsewhere.
 */
export function isOnThisMachine({ socket, headers }: IncomingMessage): boolean {
  const peer = socket.remoteAddress ?? '';
  const isLoopback = peer === '::1' || /^(::ffff:)?127\./.test(peer);
  return isLoopback && !PROXY_FIELDS.some((name) => headers[name] !== undefined);
}

const PROXY_FIELDS = ['forwarded', 'via', 'x-forwarded-for', 'x-real-ip'];

/**
 * The platform's own answer to an invocation: told from a function's by `x-hearth-error-type`,
 * which no function can send.
 */
export function sendRefusal(
  response: ServerResponse,
  error: HearthError,
  context: RefusalContext,
): void {
  const { retryAfterMs, ...details } = error.details ?? {};
  const body = error.toBody(context.callId);
  if (context.showsDetails && Object.keys(details).length > 0) body.details = details;
  else delete body.details;
  const text = JSON.stringify({ error: body });
  const headers = [
    ...['Content-Type', 'application/json; charset=utf-8'],
    ...['Content-Length', String(Buffer.byteLength(text))],
    ...['Cache-Control', 'no-store', 'x-hearth-error-type', error.code],
    ...['X-Call-Id', context.callId, 'X-Start-Time', startTime(context.startedAtMs)],
  ];
  const retryAfter = retryAfterSeconds(error, retryAfterMs);
  if (retryAfter !== undefined) headers.push('Retry-After', String(retryAfter));
  if (context.isLast) headers.push('Connection', 'close');
  response.writeHead(error.status, headers);
  response.end(text);
}

/** Every 503 says when to come again; the least `Retry-After` can say is a second. */
function retryAfterSeconds(error: HearthError, retryAfterMs: unknown): number | undefined {
  if (typeof retryAfterMs === 'number') return Math.max(1, Math.ceil(retryAfterMs / 1000));
  return error.status === 503 ? 1 : undefined;
}
