import type { EventInfo } from '../../lib/container-api.ts';
import { FollowQueue } from '../logs/follow-queue.ts';
import type { EventLog } from './event-log.ts';
import type { NotableEvents } from './notable-events.ts';

export interface StreamEventsOptions {
  /** Number of the last event that the reader has. */
  since: number;
  /** Of which run of the agent that number is; absent: of this one. */
  epoch?: string;
  /** Go on with each new event until `signal` aborts. */
  follow: boolean;
  signal: AbortSignal;
  isWanted(event: EventInfo): boolean;
  /** Only of this function: then those that matter are told also when they are long past. */
  functionName?: string;
  /** An empty line is sent after so much silence. */
  keepAliveMs?: number;
}

const KEEP_ALIVE_MS = 15_000;

/** Events as newline-delimited JSON, oldest first; a number that is left out was not wanted, or is lost. */
export async function* streamEvents(
  log: EventLog,
  notable: NotableEvents,
  options: StreamEventsOptions,
): AsyncGenerator<string> {
  const { isWanted, follow, signal } = options;
  const queue = new FollowQueue(() => '');
  const push = (event: EventInfo): void => {
    if (isWanted(event)) queue.push(lineOf(event));
  };
  // Both in one turn: each event is either past or in the queue, never in both
  const unsubscribe = follow ? log.subscribe(push) : () => {};
  const past = pastEvents(log, notable, options).filter(isWanted);
  const wake = (): void => queue.wake();
  signal.addEventListener('abort', wake, { once: true });
  try {
    // A follower's headers go out with the first byte, though nothing has happened yet
    if (follow) yield '\n';
    if (past.length > 0) yield past.map(lineOf).join('');
    while (follow && !signal.aborted) {
      const text = queue.take().join('');
      if (text !== '') yield text;
      else if (!(await queue.wait(options.keepAliveMs ?? KEEP_ALIVE_MS))) yield '\n';
    }
  } finally {
    signal.removeEventListener('abort', wake);
    unsubscribe();
  }
}

function pastEvents(
  log: EventLog,
  notable: NotableEvents,
  { since, epoch, functionName }: StreamEventsOptions,
): EventInfo[] {
  const { events: kept, isOther } = log.since(since, epoch);
  const first = kept[0]?.seq ?? Number.POSITIVE_INFINITY;
  const older = functionName === undefined ? [] : notable.of(functionName);
  return [...older.filter(({ seq }) => (isOther || seq > since) && seq < first), ...kept];
}

function lineOf(event: EventInfo): string {
  return `${JSON.stringify(event)}\n`;
}
