import { LIMITS } from '../../lib/limits.ts';
import type { LogLine } from '../../lib/log-line.ts';
import type { LogFiles } from './log-files.ts';

export interface StreamLogOptions {
  /** Whose log it is, for what this says itself. */
  of: Pick<LogLine, 'functionName' | 'instanceId'>;
  /** Lines of the past. */
  tail: number;
  /** Go on with each new line until `signal` aborts. */
  follow: boolean;
  signal: AbortSignal;
  /** Which lines; default all. */
  isWanted?(line: LogLine): boolean;
  /** Resolves when no line will follow: then a follower's stream ends, too. */
  ended?: Promise<unknown>;
  /** An empty line is sent after so much silence: proxies keep the connection, a gone reader shows. */
  keepAliveMs?: number;
}

const KEEP_ALIVE_MS = 15_000;

/** A log as newline-delimited JSON: the last lines, then new ones as they are written. */
export async function* streamLog(log: LogFiles, options: StreamLogOptions): AsyncGenerator<string> {
  const { isWanted = () => true, follow, signal } = options;
  const queue = new FollowQueue(options.of);
  const push = (json: string, line: LogLine): void => {
    if (isWanted(line)) queue.push(json);
  };
  // Both in one turn: each line is either in the tail or in the queue, never in both.
  const unfollow = follow ? log.follow(push) : () => {};
  const past = log.tail(options.tail, isWanted);
  let isOver = false;
  const end = (): void => {
    isOver = true;
    queue.wake();
  };
  signal.addEventListener('abort', end, { once: true });
  if (follow) void options.ended?.then(end, end);
  try {
    // A follower's headers go out with the first byte, though nothing is written yet.
    if (follow) yield '\n';
    yield* await past;
    while (follow && !signal.aborted) {
      const texts = queue.take();
      if (texts.length > 0) yield texts.join('');
      else if (isOver) return;
      else if (!(await queue.wait(options.keepAliveMs ?? KEEP_ALIVE_MS))) yield '\n';
    }
  } finally {
    signal.removeEventListener('abort', end);
    unfollow();
  }
}

/** What a follower has not read yet; beyond a bound lines are dropped and counted. */
class FollowQueue {
  readonly #of: StreamLogOptions['of'];
  #texts: string[] = [];
  #bytes = 0;
  #dropped = 0;
  #wakeUp: ((woken: boolean) => void) | undefined;

  constructor(of: StreamLogOptions['of']) {
    this.#of = of;
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
      ...this.#of,
      stream: 'system',
      text: `… ${this.#dropped} lines not shown: the reader is slower than the writer`,
    };
  }
}
