import { existsSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { HearthError } from '../../lib/errors.ts';
import type { Launch } from './child.ts';

/** sockaddr_un.sun_path holds 108 bytes with the ending zero (unix(7)). */
const SOCKET_PATH_BYTES_MAX = 107;

export interface RedisOptions {
  dataFolder: string;
  socketPath: string;
  logPath: string;
  /** What to put before the command. */
  prefix: readonly string[];
  onOutput?: (chunk: Buffer) => void;
}

/**
 * Redis on a unix socket only, each write in its append-only file.
 * @throws HearthError PlatformUnavailable when redis-server is missing
 */
export function redisLaunch(options: RedisOptions): Launch {
  if (Buffer.byteLength(options.socketPath) > SOCKET_PATH_BYTES_MAX) {
    throw new HearthError(
      'ConfigInvalid',
      `data root is too deep: ${options.socketPath} must be at most ${SOCKET_PATH_BYTES_MAX} bytes`,
      { hint: 'choose a shorter --data-root' },
    );
  }
  const server = findCommand('redis-server');
  if (server === undefined) {
    throw new HearthError('PlatformUnavailable', 'redis-server is not installed', {
      hint: 'apt-get install redis-server, or name a running one with --redis-url',
    });
  }
  const [command = server, ...first] = [...options.prefix, server];
  // A socket left by a killed server would look ready.
  rmSync(options.socketPath, { force: true });
  return {
    name: 'redis',
    command,
    args: [...first, ...settings(options)],
    env: { PATH: process.env.PATH, LANG: 'C' },
    logPath: options.logPath,
    ...(options.onOutput === undefined ? {} : { onOutput: options.onOutput }),
    probe: async (signal) => {
      await untilPong(options.socketPath, signal);
      return { api: `unix://${options.socketPath}` };
    },
  };
}

function settings(options: RedisOptions): string[] {
  const pairs: Record<string, string> = {
    port: '0',
    unixsocket: options.socketPath,
    unixsocketperm: '770',
    dir: options.dataFolder,
    appendonly: 'yes',
    save: '',
    'maxmemory-policy': 'noeviction',
    daemonize: 'no',
  };
  return Object.entries(pairs).flatMap(([name, value]) => [`--${name}`, value]);
}

/** The path of a program, also in the system folders that a user's PATH may lack. */
export function findCommand(name: string): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter).filter(Boolean);
  const paths = [...folders, '/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/bin', '/bin'];
  return paths.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

const POLL_MS = 20;

/** Until PING is answered with PONG; a server that still loads its file answers -LOADING. */
async function untilPong(path: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    if ((await pingRedis(path)) === '+PONG') return;
    await sleep(POLL_MS);
  }
  await new Promise(() => undefined);
}

/** The first line that Redis answers to PING, empty when it cannot be reached. */
export function pingRedis(path: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.setTimeout(1000, () => socket.destroy());
    socket.on('connect', () => socket.write('PING\r\n'));
    socket.on('data', (chunk) => {
      resolve(chunk.toString().split('\r\n', 1)[0] ?? '');
      socket.destroy();
    });
    socket.on('error', () => resolve(''));
    socket.on('close', () => resolve(''));
  });
}
