import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const READY_MS_MAX = 10_000;

/** A real redis-server of a test's own, on a unix socket in a temporary folder. */
export interface TestRedis {
  /** `unix://PATH`. */
  url: string;
  /** The folder of its socket and append-only file; removed by `stop`. */
  dir: string;
  /** Process id of the running server. */
  readonly pid: number;
  /** kill -9; the data stays in `dir`. */
  kill(): Promise<void>;
  /** Starts the server again after `kill`, on the same socket and data. */
  start(): Promise<void>;
  /** Ends the server and removes its folder. Safe to call twice. */
  stop(): Promise<void>;
}

export interface TestRedisOptions {
  /** Further arguments of redis-server, e.g. `['--maxmemory', '4mb']`. */
  args?: readonly string[];
}

/** Whether this machine has a redis-server, for `t.skip`. */
export function hasRedis(): boolean {
  const folders = (process.env.PATH ?? '').split(delimiter);
  return folders.some((folder) => existsSync(join(folder, 'redis-server')));
}

/** Starts a redis-server with an append-only file and waits until it answers. */
export async function startRedis(options: TestRedisOptions = {}): Promise<TestRedis> {
  const dir = mkdtempSync(join(tmpdir(), 'hearth-redis-'));
  const socket = join(dir, 'redis.sock');
  let child = launch(dir, socket, options.args ?? []);
  const killOnExit = (): void => {
    child.kill('SIGKILL');
    rmSync(dir, { recursive: true, force: true });
  };
  process.on('exit', killOnExit);
  const stop = async (): Promise<void> => {
    process.off('exit', killOnExit);
    await end(child);
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    await answering(socket, child);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    url: `unix://${socket}`,
    dir,
    get pid() {
      return child.pid ?? 0;
    },
    kill: () => end(child),
    async start() {
      child = launch(dir, socket, options.args ?? []);
      await answering(socket, child);
    },
    stop,
  };
}

function launch(dir: string, socket: string, args: readonly string[]): ChildProcess {
  const fixed = ['--port', '0', '--unixsocket', socket, '--dir', dir, '--save', ''];
  const durable = ['--appendonly', 'yes', '--maxmemory-policy', 'noeviction'];
  return spawn('redis-server', [...fixed, ...durable, ...args], { stdio: 'ignore' });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

async function answering(socket: string, child: ChildProcess): Promise<void> {
  let failure: Error | undefined;
  child.once('error', (error) => {
    failure = error;
  });
  for (let waitedMs = 0; waitedMs < READY_MS_MAX; waitedMs += 20) {
    if (failure !== undefined) throw failure;
    if (child.exitCode !== null) throw new Error(`redis-server exited with ${child.exitCode}`);
    if (await pong(socket)) return;
    await delay(20);
  }
  throw new Error(`redis-server did not answer on ${socket} within ${READY_MS_MAX} ms`);
}

function pong(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect({ path });
  socket.setTimeout(1_000, () => socket.destroy());
  socket.once('connect', () => socket.write('PING\r\n'));
  socket.once('data', (data) => {
    resolve(data.toString().startsWith('+PONG'));
    socket.destroy();
  });
  socket.once('error', () => resolve(false));
  socket.once('close', () => resolve(false));
  return promise;
}
