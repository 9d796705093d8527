import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HearthError } from '../../lib/errors.ts';
import { readSecret, SECRET_VARIABLES, type SecretName } from '../../lib/secrets.ts';
import type { Launch } from './child.ts';
import { Component, type ComponentStatus } from './component.ts';
import { giveFolders, makeFolders, type UpFolders, upFolders } from './folders.ts';
import { takeLock } from './lock.ts';
import { privilegeFacts } from './machine.ts';
import { placeOf } from './place.ts';
import { DAEMONS, type DaemonName, planEnvironment, publicUrl } from './plan.ts';
import { choosePorts } from './ports.ts';
import { decidePrivileges, type Privileges, ROOT } from './privileges.ts';
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
  /** Addresses and users of the containers; absent: the data root's own. */
  subnet?: string;
  uidBase?: number;
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
/** oom_score_adj of what must outlive functions and builds that take all memory. */
const PROTECTED = -500;
/** Daemons that lost their supervisor stop by themselves; the next start gives them this long. */
const LEFTOVER = { waitMs: 15_000, termMs: 10_000 };

/**
 * Starts Redis, then all daemons at once: the addresses are chosen before, and each daemon waits
 * for the others by itself.
 * @throws HearthError Conflict (running already, port in use), PlatformUnavailable (a daemon failed)
 */
export async function startPlatform(options: PlatformOptions): Promise<Platform> {
  const folders = upFolders(options.dataRoot);
  const runFolder = folders.run;
  makeFolders(folders);
  const lock = takeLock(join(runFolder, 'up.lock'), options.dataRoot);
  const started: Component[] = [];
  const giveUp = (): void => void stopAll(started);
  options.signal?.addEventListener('abort', giveUp);
  try {
    await endLeftovers(runFolder, options.say);
    options.signal?.throwIfAborted();
    const ports = await choosePorts(options);
    const redisUrl = options.redisUrl ?? `unix://${folders.redisSocket}`;
    const facts = privilegeFacts({ ...options, port: ports.gateway });
    const privileges = decidePrivileges(facts);
    const environment = planEnvironment({
      dataRoot: options.dataRoot,
      host: options.host,
      ports,
      redisUrl,
      subnet: options.subnet ?? placeOf(options.dataRoot).subnet,
      uidBase: options.uidBase ?? placeOf(options.dataRoot).uidBase,
      gatewayUid: privileges.of.gateway.user?.uid ?? process.getuid?.() ?? 0,
    });
    for (const warning of privileges.warnings) options.say(warning);
    if (facts.isRoot) giveFolders(folders, privileges.of.redis.user ?? ROOT);
    const launches = DAEMONS.map((name) => daemon(name, environment[name], options, privileges));
    const components = componentMaker(options, runFolder);
    options.say(`starting in ${options.dataRoot}`);
    if (options.redisUrl === undefined)
      await components.startAll(started, [redis(options, folders, privileges)]);
    else options.say(`using Redis at ${withoutPassword(options.redisUrl)}`);
    await components.startAll(started, launches);
    options.signal?.throwIfAborted();
    const url = publicUrl(options.host, ports.gateway);
    const addressFile = join(runFolder, 'gateway.json');
    writeFileSync(addressFile, JSON.stringify({ url, pid: process.pid }));
    chmodSync(addressFile, 0o644);
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
      keepsContainers: launch.name === 'node-agent' || launch.name === 'builder',
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

function redis(options: PlatformOptions, folders: UpFolders, { of }: Privileges): Launch {
  return {
    ...redisLaunch({
      dataFolder: folders.redisData,
      socketPath: folders.redisSocket,
      logPath: join(folders.run, 'redis.log'),
      prefix: of.redis.prefix,
      ...outputOf(options, 'redis'),
    }),
    oomScoreAdj: PROTECTED,
  };
}

/** Secrets of the daemons that may not open the files themselves. */
const SECRETS: Partial<Record<DaemonName, readonly SecretName[]>> = {
  gateway: ['token', 'cluster-token'],
  scheduler: ['cluster-token'],
};

function daemon(
  name: DaemonName,
  env: Record<string, string>,
  options: PlatformOptions,
  { of }: Privileges,
): Launch {
  const prefix = name === 'gateway' || name === 'scheduler' ? of[name].prefix : [];
  const [command = process.execPath, ...first] = [...prefix, process.execPath];
  return {
    name,
    command,
    args: [...first, join(options.programs, name, 'main.js')],
    env: { ...process.env, ...env },
    logPath: join(options.dataRoot, 'run', `${name}.log`),
    openFiles: secretFiles(options.dataRoot, SECRETS[name] ?? []),
    // A build that takes all memory is to be killed before these.
    ...(name === 'builder' ? {} : { oomScoreAdj: PROTECTED }),
    ...outputOf(options, name),
  };
}

/** Files by the variables of lib/secrets.ts, made at first use; none for one that is a variable. */
function secretFiles(dataRoot: string, names: readonly SecretName[]): Record<string, string> {
  const files: Record<string, string> = {};
  for (const name of names) {
    const variable = SECRET_VARIABLES[name];
    readSecret(dataRoot, name);
    if ((process.env[variable] ?? '') === '') files[`${variable}_FD`] = join(dataRoot, name);
  }
  return files;
}
