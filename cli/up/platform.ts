import { accessSync, chmodSync, constants, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errnoCode, HearthError } from '../../lib/errors.ts';
import type { Launch } from './child.ts';
import { Component, type ComponentStatus } from './component.ts';
import { takeLock } from './lock.ts';
import { DAEMONS, type DaemonName, planEnvironment, publicUrl } from './plan.ts';
import { choosePorts } from './ports.ts';
import { endLeftover } from './process-id.ts';
import { redisLaunch } from './redis.ts';

export interface PlatformOptions {
  dataRoot: string;
  host: string;
  port: number;
  /** Take a free port when `port` is in use. */
  anyPort?: boolean;
  /** A Redis that runs already; absent: one is started on a socket in the data root. */
  redisUrl?: string;
  subnet: string;
  /** Folder of `<daemon>/main.js`. */
  programs: string;
  say(line: string): void;
  /** All output of all components, besides their log files. */
  onOutput?: (component: string, chunk: Buffer) => void;
  /** Gives the start up; what runs by then is stopped. */
  signal?: AbortSignal;
}

/** A running platform on this machine. */
export interface Platform {
  url: string;
  status(): ComponentStatus[];
  /** In reverse order of the start, Redis last; resolves when all is gone. */
  stop(): Promise<void>;
  /** Ends everything at once; containers are cleaned up by the next start. */
  kill(): void;
}

const START_MS_MAX = 60_000;
/** Daemons that lost their supervisor stop by themselves; the next start gives them this long. */
const LEFTOVER = { waitMs: 15_000, termMs: 10_000 };

/**
 * Starts Redis, then all daemons at once: the addresses are chosen before, and each daemon waits
 * for the others by itself.
 * @throws HearthError Conflict (running already, port in use), PlatformUnavailable (a daemon failed)
 */
export async function startPlatform(options: PlatformOptions): Promise<Platform> {
  const runFolder = join(options.dataRoot, 'run');
  makeFolders(options.dataRoot, runFolder);
  const lock = takeLock(join(runFolder, 'up.lock'), options.dataRoot);
  const started: Component[] = [];
  const giveUp = (): void => void stopAll(started);
  options.signal?.addEventListener('abort', giveUp);
  try {
    await endLeftovers(runFolder, options.say);
    options.signal?.throwIfAborted();
    const ports = await choosePorts(options);
    const redisUrl = options.redisUrl ?? `unix://${join(runFolder, 'redis.sock')}`;
    const environment = planEnvironment({ ...options, ports, redisUrl });
    const launches = DAEMONS.map((name) => daemon(name, environment[name], options));
    const components = componentMaker(options, runFolder);
    options.say(`starting in ${options.dataRoot}`);
    if (options.redisUrl === undefined) await components.startAll(started, [redis(options)]);
    else options.say(`using Redis at ${withoutPassword(options.redisUrl)}`);
    await components.startAll(started, launches);
    options.signal?.throwIfAborted();
    const url = publicUrl(options.host, ports.gateway);
    const addressFile = join(runFolder, 'gateway.json');
    writeFileSync(addressFile, JSON.stringify({ url, pid: process.pid }), { mode: 0o644 });
    return {
      url,
      status: () => started.map((component) => component.status()),
      kill: () => started.forEach((component) => void component.kill()),
      stop: async () => {
        rmSync(addressFile, { force: true });
        await stopAll(started);
        lock.release();
      },
    };
  } catch (error) {
    await stopAll(started);
    lock.release();
    throw error;
  } finally {
    options.signal?.removeEventListener('abort', giveUp);
  }
}

function makeFolders(dataRoot: string, runFolder: string): void {
  try {
    mkdirSync(dataRoot, { recursive: true, mode: 0o711 });
    mkdirSync(join(dataRoot, 'redis'), { recursive: true, mode: 0o700 });
    // Readable for the sake of gateway.json; sockets and logs in it have modes of their own.
    mkdirSync(runFolder, { recursive: true, mode: 0o711 });
    chmodSync(runFolder, 0o711);
    accessSync(runFolder, constants.W_OK);
  } catch (cause) {
    const why = errnoCode(cause) ?? (cause as Error).message;
    throw new HearthError('ConfigInvalid', `data root ${dataRoot} cannot be used (${why})`, {
      hint: 'choose a folder that you may write with --data-root',
      cause,
    });
  }
}

async function endLeftovers(runFolder: string, say: (line: string) => void): Promise<void> {
  for (const name of ['gateway', 'scheduler', 'node-agent', 'builder', 'redis']) {
    const ended = await endLeftover(join(runFolder, `${name}.pid`), LEFTOVER);
    if (ended) say(`${name} of an earlier run has ended`);
  }
}

function componentMaker(options: PlatformOptions, runFolder: string) {
  const make = (launch: Launch): Component =>
    new Component({
      launch,
      pidPath: join(runFolder, `${launch.name}.pid`),
      say: options.say,
      startMsMax: START_MS_MAX,
    });
  return {
    /** Adds each to `started` before it is ready, so that a failure of one stops them all. */
    async startAll(started: Component[], launches: readonly Launch[]): Promise<void> {
      const components = launches.map(make);
      started.push(...components);
      await Promise.all(components.map((component) => component.start()));
    },
  };
}

/** @throws HearthError ConfigInvalid */
function withoutPassword(redisUrl: string): string {
  if (!URL.canParse(redisUrl)) {
    throw new HearthError('ConfigInvalid', '--redis-url is not a URL', {
      hint: 'redis://HOST:PORT, rediss://HOST:PORT or unix://PATH; REDIS_URL is taken too',
    });
  }
  const url = new URL(redisUrl);
  url.username = '';
  url.password = '';
  return url.href;
}

async function stopAll(started: readonly Component[]): Promise<void> {
  for (const component of [...started].reverse()) await component.stop();
}

function outputOf(options: PlatformOptions, name: string): Pick<Launch, 'onOutput'> {
  const { onOutput } = options;
  return onOutput === undefined ? {} : { onOutput: (chunk) => onOutput(name, chunk) };
}

function redis(options: PlatformOptions): Launch {
  const { dataRoot } = options;
  return redisLaunch({
    dataFolder: join(dataRoot, 'redis'),
    socketPath: join(dataRoot, 'run', 'redis.sock'),
    logPath: join(dataRoot, 'run', 'redis.log'),
    ...outputOf(options, 'redis'),
  });
}

function daemon(name: DaemonName, env: Record<string, string>, options: PlatformOptions): Launch {
  return {
    name,
    command: process.execPath,
    args: [join(options.programs, name, 'main.js')],
    env: { ...process.env, ...env },
    logPath: join(options.dataRoot, 'run', `${name}.log`),
    ...outputOf(options, name),
  };
}
