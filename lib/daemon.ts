import type { Log } from './telemetry/log.ts';

/** What a daemon tells its supervisor when it serves. */
export interface ReadyMessage {
  type: 'ready';
  component: string;
  /** Base URLs by role, e.g. `{ api: 'http://127.0.0.1:8081', registry: '…' }`. */
  addresses: Record<string, string>;
}

/** Exit codes of a daemon: 0 stopped when asked, 1 could not start or failed. */
export interface Daemon {
  addresses: Record<string, string>;
  /** Stops in order and leaves nothing behind. Called once. */
  stop(): Promise<void>;
}

const STOP_MS_MAX = 60_000;

/**
 * Runs a daemon until SIGTERM or SIGINT, or until its supervisor is gone (the IPC channel closes),
 * then stops it. A second signal ends it at once.
 */
export async function runDaemon(
  component: string,
  log: Log,
  start: () => Promise<Daemon>,
): Promise<void> {
  const stopped = Promise.withResolvers<string>();
  let asked = false;
  const ask = (why: string): void => {
    if (asked) {
      log.warn({ why }, 'stopping at once');
      process.exit(130);
    }
    asked = true;
    stopped.resolve(why);
  };
  process.on('SIGTERM', () => ask('SIGTERM'));
  process.on('SIGINT', () => ask('SIGINT'));
  if (process.send !== undefined)
    process.on('disconnect', () => stopped.resolve('supervisor gone'));
  try {
    const daemon = await start();
    const message: ReadyMessage = { type: 'ready', component, addresses: daemon.addresses };
    log.info({ addresses: daemon.addresses }, 'ready');
    if (process.connected) process.send?.(message);
    const why = await stopped.promise;
    log.info({ why }, 'stopping');
    setTimeout(() => process.exit(1), STOP_MS_MAX).unref();
    await daemon.stop();
    log.info('stopped');
    process.exit(0);
  } catch (error) {
    log.fatal({ err: error }, 'failed');
    process.exit(1);
  }
}
