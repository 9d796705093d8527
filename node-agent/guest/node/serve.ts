import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import { http } from './builtin.ts';

/** Longer than any gateway keeps its end (72 s): the gateway closes first, so no request is lost. */
const KEEP_ALIVE_MS = 75_000;
/** Above what a gateway lets through (32 KiB) and adds. */
const HEADER_BYTES_MAX = 64 * 1024;

/** A server for `listener` that does not listen yet. */
export function createServer(listener: RequestListener): Server {
  // Bodies may take as long as the call may: the gateway's timeout bounds them.
  return tuneServer(http.createServer(listener));
}

/** Settings that the gateway relies on, also for a server that the program made itself. */
export function tuneServer(server: Server): Server {
  server.keepAliveTimeout = Math.max(server.keepAliveTimeout, KEEP_ALIVE_MS);
  server.requestTimeout = 0;
  (server as { maxHeaderSize?: number }).maxHeaderSize ??= HEADER_BYTES_MAX;
  return server;
}

/** Resolves when the server listens: on the inherited socket, or on a port of all interfaces. */
export function listen(server: Server, at: { fd: number } | { port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    // Without a host it is all interfaces, and Node does not load its resolver (4 ms).
    server.listen(at, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/**
 * What SIGTERM does until somebody serves: another OCI runtime makes it PID 1, which has no default
 * action for it.
 */
export function exitAtOnce(): void {
  process.exit(143);
}

/**
 * Ends the process with SIGTERM: no new connections, calls in flight finish, connections close
 * after their last answer. The agent's grace bounds it.
 */
export function drainOnSigterm(server: Server): void {
  process.off('SIGTERM', exitAtOnce);
  let draining = false;
  server.prependListener('request', (_request: IncomingMessage, response: ServerResponse) => {
    if (draining) response.shouldKeepAlive = false;
    response.once('close', () => {
      if (draining) server.closeIdleConnections();
    });
  });
  process.on('SIGTERM', () => {
    if (draining) return;
    draining = true;
    server.close(() => process.exit(0));
    server.closeIdleConnections();
  });
}
