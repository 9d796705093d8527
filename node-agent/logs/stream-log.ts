import type { LogLine } from '../../lib/log-line.ts';
import { FollowQueue } from './follow-queue.ts';
import { closeAll, type LogFiles } from './log-files.ts';

export interface StreamLogOptions {
  /** Whose log it is, for what this says itself. */
  of: Pick<LogLine, 'functionName' | 'instanceId'>;
  /** Lines of the past. */
  tail: number;
  /** Says so when the past has more lines than `tail`: for readers who want all of them. */
  tellsCut?: boolean;
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
  const queue = new FollowQueue((dropped) => slowReader(options.of, dropped));
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
    const parts = await past;
    const count = parts.reduce((sum, part) => sum + part.count, 0);
    if (options.tellsCut === true && count === options.tail) {
      yield note(options.of, `… earlier lines not shown (limit ${options.tail})`);
    }
    for (const part of parts) yield* part.texts();
    await closeAll(parts);
    while (follow && !signal.aborted) {
      const texts = queue.take();
      if (texts.length > 0) yield texts.join('');
      else if (isOver) return;
      else if (!(await queue.wait(options.keepAliveMs ?? KEEP_ALIVE_MS))) yield '\n';
    }
  } finally {
    signal.removeEventListener('abort', end);
    unfollow();
    await past.then(closeAll, () => {});
  }
}

function slowReader(of: StreamLogOptions['of'], dropped: number): string {
  return note(of, `… ${dropped} lines not shown: the reader is slower than the writer`);
}

function note(of: StreamLogOptions['of'], text: string): string {
  const line: LogLine = { timeMs: Date.now(), ...of, stream: 'system', text };
  return `${JSON.stringify(line)}\n`;
}
