import { HearthError } from '../errors.ts';

interface Fault {
  pattern: RegExp;
  reason: string;
  hint: string;
}

/** Error replies of Redis 7 and failures of the connection, in the order they are tried. */
const FAULTS: readonly Fault[] = [
  {
    pattern: /MISCONF/,
    reason: 'Redis refuses writes as it cannot write to its disk',
    hint: 'free space on the disk of Redis; it takes writes again by itself',
  },
  {
    pattern: /OOM command not allowed/,
    reason: 'Redis refuses writes as its memory limit is reached',
    hint: 'raise maxmemory of Redis',
  },
  {
    pattern: /READONLY/,
    reason: 'Redis is a read-only replica',
    hint: 'point redisUrl at the primary',
  },
  {
    pattern: /LOADING/,
    reason: 'Redis is loading its data',
    hint: 'try again in a moment',
  },
  {
    pattern: /NOAUTH|WRONGPASS|NOPERM/,
    reason: 'Redis refuses the credentials',
    hint: 'check the user and password in redisUrl',
  },
  {
    pattern: /Command timed out|Socket timeout/,
    reason: 'Redis did not answer in time',
    hint: 'check the load of Redis',
  },
];

/** What went wrong at Redis, as one of our errors; a fault of our own code stays what it is. */
export function redisFault(error: unknown, code: 'StoreUnavailable' | 'QueueUnavailable'): Error {
  if (error instanceof HearthError || error instanceof TypeError) return error;
  const text = error instanceof Error ? error.message : String(error);
  const what = code === 'StoreUnavailable' ? 'store' : 'queue';
  const fault = FAULTS.find(({ pattern }) => pattern.test(text));
  if (fault !== undefined) {
    return new HearthError(code, `${what} is unavailable: ${fault.reason}`, {
      hint: fault.hint,
      cause: error,
    });
  }
  return new HearthError(code, `${what} is unavailable: ${shorten(text)}`, {
    hint: 'check that Redis runs and that redisUrl points to it',
    cause: error,
  });
}

function shorten(text: string): string {
  if (/writeable|Connection is closed|max retries|not ready/i.test(text)) {
    return 'no connection to Redis';
  }
  return text.slice(0, 200);
}
