import { type Config, DAEMON_DEFAULTS, type DaemonName, loadConfig } from './config.ts';
import { toHearthError } from './errors.ts';
import { createLog, type Log } from './telemetry/log.ts';

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

/** The whole `main.ts` of a daemon: configuration, log, life. Exits with 2 on a wrong configuration. */
export async function runMain(
  component: DaemonName,
  start: (config: Readonly<Config>, log: Log) => Promise<Daemon>,
): Promise<void> {
  const config = readConfig(component);
  const log = createLog({ component, level: config.logLevel });
  await runDaemon(component, log, () => start(config, log));
}

function readConfig(component: DaemonName): Readonly<Config> {
  try {
    const defaults = DAEMON_DEFAULTS[component];
    return loadConfig({ argv: process.argv.slice(2), env: process.env, defaults });
  } catch (error) {
    const { message, exit } = toHearthError(error);
    process.stderr.write(`error: ${message}\nhint: --help lists the flags of each daemon\n`);
    process.exit(exit);
  }
}
