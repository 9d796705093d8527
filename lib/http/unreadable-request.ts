import type { Socket } from 'node:net';
import { HearthError } from '../errors.ts';

/** A request that could not even be parsed; `code` is llhttp's or Node's. */
export interface UnreadableRequest {
  code?: string;
  message: string;
  reason?: string;
}

/** The error of a request that is no HTTP/1.1: nothing of it reached a route. */
export function unreadableRequest({ code, message, reason }: UnreadableRequest): HearthError {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return new HearthError('BadRequest', 'the request did not arrive in time', { status: 408 });
  }
  if (code === 'HPE_HEADER_OVERFLOW') {
    return new HearthError('BadRequest', 'the headers are larger than the limit', { status: 431 });
  }
  return new HearthError('BadRequest', `the request is not valid HTTP: ${reason ?? message}`);
}

/** Answers it as the platform, in the shape of every other error, and ends the connection. */
export function answerUnreadable(error: UnreadableRequest, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return;
  const known = unreadableRequest(error);
  const body = JSON.stringify({ error: known.toBody() });
  const head = [
    `HTTP/1.1 ${known.status} ${STATUS_TEXT[known.status] ?? 'Bad Request'}`,
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    `x-hearth-error-type: ${known.code}`,
    'Connection: close',
  ];
  if (socket.writable) socket.write(`${head.join('\r\n')}\r\n\r\n${body}`);
  socket.destroySoon();
}

const STATUS_TEXT: Readonly<Record<number, string>> = {
  408: 'Request Timeout',
  431: 'Request Header Fields Too Large',
};
