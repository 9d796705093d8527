import { LIMITS } from '../../lib/limits.ts';
import type { LogLine } from '../../lib/log-line.ts';
import type { FunctionLog } from './function-log.ts';

export interface StreamLogOptions {
  functionName: string;
  /** Lines of the past. */
  tail: number;
  /** Go on with each new line until `signal` aborts. */
  follow: boolean;
  signal: AbortSignal;
  /** An empty line is sent after so much silence: proxies keep the connection, a gone reader shows. */
  keepAliveMs?: number;
}

const KEEP_ALIVE_MS = 15_000;

/** A function's log as newline-delimited JSON: the last lines, then new ones as they are written. */
export async function* streamLog(
  log: FunctionLog,
  options: StreamLogOptions,
): AsyncGenerator<string> {
  const queue = new FollowQueue(options.functionName);
  // Both in one turn: each line is either in the tail or in the queue, never in both.
  const unfollow = options.follow ? log.follow((json) => queue.push(json)) : () => {};
  const past = log.tail(options.tail);
  const wake = (): void => queue.wake();
  options.signal.addEventListener('abort', wake, { once: true });
  try {
    // A follower's headers go out with the first byte, though nothing is written yet.
    if (options.follow) yield '\n';
    yield* await past;
    while (options.follow && !options.signal.aborted) {
      const texts = queue.take();
      if (texts.length > 0) yield texts.join('');
      else if (!(await queue.wait(options.keepAliveMs ?? KEEP_ALIVE_MS))) yield '\n';
    }
  } finally {
    options.signal.removeEventListener('abort', wake);
    unfollow();
  }
}

/** What a follower has not read yet; beyond a bound lines are dropped and counted. */
class FollowQueue {
  readonly #functionName: string;
  #texts: string[] = [];
  #bytes = 0;
  #dropped = 0;
  #wakeUp: ((woken: boolean) => void) | undefined;

  constructor(functionName: string) {
    this.#functionName = functionName;
  }

  push(json: string): void {
    if (this.#bytes + json.length > LIMITS.logFollowBytesMax) this.#dropped++;
    else {
      this.#texts.push(json);
      this.#bytes += json.length;
    }
    this.wake();
  }

  take(): string[] {
    const texts = this.#texts;
    if (this.#dropped > 0) texts.push(`${JSON.stringify(this.#notice())}\n`);
    this.#texts = [];
    this.#bytes = 0;
    this.#dropped = 0;
    return texts;
  }

  wake(): void {
    this.#wakeUp?.(true);
  }

  /** True when something came, false after `ms` of silence. */
  async wait(ms: number): Promise<boolean> {
    const woken = Promise.withResolvers<boolean>();
    this.#wakeUp = woken.resolve;
    const timer = setTimeout(() => woken.resolve(false), ms);
    try {
      return await woken.promise;
    } finally {
      clearTimeout(timer);
      this.#wakeUp = undefined;
    }
  }

  #notice(): LogLine {
    return {
      timeMs: Date.now(),
      functionName: this.#functionName,
      instanceId: '',
      stream: 'system',
      text: `… ${this.#dropped} lines not shown: the reader is slower than the function writes`,
    };
  }
}
