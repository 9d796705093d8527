import { Redis, type RedisOptions } from 'ioredis';
import { HearthError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { Log } from '../telemetry/log.ts';
import type { Connection, Word } from './connection.ts';
import { redisFault } from './redis-fault.ts';
import { RedisStore } from './redis-store.ts';
import type { Store } from './store.ts';

export interface RedisStoreOptions {
  /** `redis://`, `rediss://` or `unix://PATH`. */
  url: string;
  /** Prefix of every key. */
  prefix: string;
  log: Log;
}

/** The store on Redis 7.0. It connects by itself, now and after every loss. */
export function createRedisStore(options: RedisStoreOptions): Store {
  const { url, prefix, log } = options;
  return new RedisStore({
    prefix,
    log,
    connection: connect(url, ANSWERED, log),
    openBlocking: ({ blockMs }) => connect(url, { socketTimeout: blockMs + 5_000 }, log),
  });
}

/** How a connection of a queue behaves while Redis is away. */
export type QueueRole =
  /** Commands fail fast: for adding jobs. */
  | 'add'
  /** Commands wait until Redis is back, as BullMQ demands it of its workers. */
  | 'work';

/** A connection for BullMQ, which duplicates it where it needs a blocking one. */
export function connectQueue(url: string, role: QueueRole, log: Log): Redis {
  if (role === 'work') return endingAlways(open(url, WAITING, log));
  return open(url, { ...FAIL_FAST, ...ANSWERED }, log);
}

/** Resolves when `redis` takes commands. @throws Error when it does not within `timeoutMs` */
export async function whenReady(redis: Redis, timeoutMs: number): Promise<void> {
  if (redis.status === 'ready') return;
  if (redis.status === 'end') throw new Error('Connection is closed.');
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const fail = (): void => reject(new Error('Redis is not ready'));
  const timer = setTimeout(fail, timeoutMs);
  redis.setMaxListeners(0);
  redis.once('ready', resolve);
  redis.once('end', fail);
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    redis.off('ready', resolve);
    redis.off('end', fail);
  }
}

/** A command has its time; a connection that says nothing for longer has lost its other end. */
const ANSWERED: RedisOptions = { commandTimeout: LIMITS.storeCommandMs, socketTimeout: 5_000 };

/** BullMQ blocks for 10 s at most and looks after its own commands. */
const WAITING: RedisOptions = { maxRetriesPerRequest: null, socketTimeout: 12_000 };

/** Rejected as soon as the connection is lost, never queued, never resent: a put is no retry. */
const FAIL_FAST: RedisOptions = {
  enableOfflineQueue: false,
  maxRetriesPerRequest: 0,
  autoResendUnfulfilledCommands: false,
};

function connect(url: string, options: RedisOptions, log: Log): Connection {
  const redis = open(url, { ...FAIL_FAST, ...options }, log);
  const run = async <T>(send: () => Promise<T>): Promise<T> => {
    try {
      await whenReady(redis, LIMITS.storeReadyMs);
      return await send();
    } catch (error) {
      throw redisFault(error, 'StoreUnavailable');
    }
  };
  return {
    call: (command: string, ...words: Word[]) => run(() => redis.call(command, ...words)),
    atomic: (commands) =>
      run(async () => {
        const replies = await redis
          .multi(commands.map(([name, ...words]) => [name.toLowerCase(), ...words]))
          .exec();
        return (replies ?? []).map(([error, reply]) => {
          if (error !== null) throw error;
          return reply;
        });
      }),
    close: () => redis.disconnect(),
  };
}

/**
 * ioredis 6 never ends a connection that is disconnected between two attempts to connect: BullMQ,
 * which waits for that end, would hang while Redis is away. Here the next attempt is the last, for
 * this connection and those duplicated from it.
 */
function endingAlways(redis: Redis): Redis {
  const disconnect = redis.disconnect.bind(redis);
  const duplicate = redis.duplicate.bind(redis);
  redis.disconnect = (reconnect = false) => {
    if (reconnect || redis.status !== 'reconnecting') return disconnect(reconnect);
    redis.options.retryStrategy = () => null;
    redis.once('connect', () => disconnect());
  };
  redis.duplicate = ((changes) => endingAlways(duplicate(changes))) as Redis['duplicate'];
  return redis;
}

function open(url: string, options: RedisOptions, log: Log): Redis {
  const redis = new Redis({
    ...addressOf(url),
    protocol: 2,
    connectTimeout: 2_000,
    keepAlive: 10_000,
    retryStrategy: (attempt: number) => Math.min(25 * 2 ** Math.min(attempt, 6), 1_000),
    ...options,
    replyMapping: 'legacy',
  });
  logTransitions(redis, log);
  return redis;
}

/** One line a loss and one a return, however often a connection is tried in between. */
function logTransitions(redis: Redis, log: Log): void {
  let isAway = false;
  redis.on('error', (error: Error) => {
    if (!isAway) log.warn({ err: error.message }, 'redis connection lost');
    isAway = true;
  });
  redis.on('ready', () => {
    if (isAway) log.info('redis connection is back');
    isAway = false;
  });
}

function addressOf(url: string): RedisOptions {
  if (!URL.canParse(url)) {
    throw new HearthError('ConfigInvalid', `redisUrl is not a URL: current value is "${url}"`, {
      hint: 'use redis://HOST:PORT, rediss://HOST:PORT or unix:///PATH',
    });
  }
  const { protocol, hostname, port, pathname, username, password } = new URL(url);
  const user = username === '' ? {} : { username: decodeURIComponent(username) };
  const secret = password === '' ? {} : { password: decodeURIComponent(password) };
  if (protocol === 'unix:') return { path: decodeURIComponent(pathname), ...user, ...secret };
  return {
    host: hostname.replace(/^\[|\]$/g, '') || '127.0.0.1',
    port: port === '' ? 6379 : Number(port),
    db: Number(pathname.slice(1)) || 0,
    ...(protocol === 'rediss:' ? { tls: {} } : {}),
    ...user,
    ...secret,
  };
}
