import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { LIMITS } from '../../lib/limits.ts';
import type { Log } from '../../lib/telemetry/log.ts';
import { expiredLogs, type LogFolder } from './expired-logs.ts';

export interface LogSweepOptions {
  folder: string;
  log: Log;
  /** Names of all functions. Rejects while the store is away: then nothing is removed. */
  functionNames(): Promise<string[]>;
}

/** Removes the logs of functions that are gone, now and then. */
export class LogSweep {
  readonly #options: LogSweepOptions;
  readonly #timer: NodeJS.Timeout;

  constructor(options: LogSweepOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.run(), LIMITS.logSweepMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async run(): Promise<void> {
    const { folder, log, functionNames } = this.#options;
    try {
      // Folders first: a function deployed in between has none among them.
      const folders = await logFolders(folder);
      const existing = new Set(await functionNames());
      for (const name of expiredLogs(folders, existing, Date.now())) {
        await rm(join(folder, name), { recursive: true, force: true });
        log.info({ functionName: name }, 'log of a deleted function removed');
      }
    } catch (error) {
      log.warn({ err: error }, 'logs not swept');
    }
  }
}

async function logFolders(folder: string): Promise<LogFolder[]> {
  const names = await readdir(folder);
  return await Promise.all(
    names.map(async (functionName) => {
      const file = join(folder, functionName, 'current.ndjson');
      const { mtimeMs } = await stat(file).catch(() => stat(join(folder, functionName)));
      return { functionName, writtenAtMs: mtimeMs };
    }),
  );
}
