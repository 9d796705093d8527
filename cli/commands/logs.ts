import { setTimeout as sleep } from 'node:timers/promises';
import { styleText } from 'node:util';
import type { ContainerInfo } from '../../lib/container-api.ts';
import { HearthError } from '../../lib/errors.ts';
import { LIMITS } from '../../lib/limits.ts';
import type { LogLine } from '../../lib/log-line.ts';
import { parseFunctionName } from '../../lib/names.ts';
import { cleanLine } from '../clean-text.ts';
import { connect } from '../connection.ts';
import { containerPath } from '../containers/find-container.ts';
import { usageError } from '../errors.ts';
import type { ApiClient } from '../http.ts';
import { abortOnInterrupt } from '../interrupts.ts';
import type { Context } from '../options.ts';

export interface LogsFlags {
  follow?: boolean;
  tail?: string;
  timestamps?: boolean;
}

const RETRY_MS = 500;
const RETRIES_MAX = 20;

/**
 * `hearth logs NAME`: the last lines, then with `-f` each new one until Ctrl-C. A name that is no function's may
 * be a container's.
 */
export async function logs(context: Context, name: string, flags: LogsFlags): Promise<number> {
  const path = `/v1/functions/${parseFunctionName(name)}/logs`;
  try {
    return await show(context, { path, query: {} }, flags);
  } catch (error) {
    if (!(error instanceof HearthError) || error.code !== 'FunctionNotFound') throw error;
    const id = await connect(context)
      .json<ContainerInfo>(containerPath(name))
      .then((found) => found.id)
      .catch(() => undefined);
    if (id === undefined) throw error;
    return containerLogs(context, id, flags);
  }
}

/** `hearth container logs ID`: the same of one container. */
export async function containerLogs(
  context: Context,
  id: string,
  flags: LogsFlags & { node?: string },
): Promise<number> {
  return show(
    context,
    { path: containerPath(id, 'logs'), isOne: true, query: { node: flags.node } },
    flags,
  );
}

interface Source {
  path: string;
  /** Lines of one container need not say whose they are. */
  isOne?: boolean;
  query: { node?: string | undefined };
}

async function show(context: Context, source: Source, flags: LogsFlags): Promise<number> {
  const tail = parseTail(flags.tail);
  const { signal, forget } = abortOnInterrupt();
  const print = printer(context, {
    timestamps: flags.timestamps === true,
    names: source.isOne !== true,
  });
  try {
    const reading = { ...source, tail, follow: flags.follow === true, print };
    await read(connect(context), reading, signal);
    return 0;
  } catch (error) {
    // Ctrl-C is how one leaves `logs -f`: no failure.
    if (signal.aborted) return flags.follow === true ? 0 : 130;
    throw error;
  } finally {
    forget();
  }
}

interface Reading extends Source {
  tail: number;
  follow: boolean;
  print(line: LogLine): void;
}

/** Follows over broken connections, as long as the gateway comes back. */
async function read(api: ApiClient, reading: Reading, signal: AbortSignal): Promise<void> {
  let { tail } = reading;
  for (let failures = 0; ; ) {
    try {
      const query = { ...reading.query, tail, ...(reading.follow ? { follow: 1 } : {}) };
      const options = { query, signal };
      for await (const line of api.lines<LogLine>(reading.path, options)) {
        reading.print(line);
        failures = 0;
        tail = 0;
      }
      if (!reading.follow) return;
    } catch (error) {
      const mayRetry = reading.follow && tail === 0 && isAway(error) && failures < RETRIES_MAX;
      if (signal.aborted || !mayRetry) throw error;
    }
    failures++;
    await sleep(RETRY_MS, undefined, { signal });
  }
}

function isAway(error: unknown): boolean {
  return error instanceof HearthError && error.code === 'PlatformUnavailable';
}

function parseTail(text: string | undefined): number {
  if (text === undefined) return LIMITS.logTailLinesDefault;
  const tail = Number(text);
  if (/^\d{1,5}$/.test(text) && tail <= LIMITS.logTailLinesMax) return tail;
  throw usageError(
    `--tail must be an integer from 0 to ${LIMITS.logTailLinesMax}: current value is "${text}"`,
  );
}

const COLORS = ['cyan', 'magenta', 'blue', 'yellow', 'green'] as const;

interface Printing {
  timestamps: boolean;
  /** Whose a line is. */
  names: boolean;
}

function printer(context: Context, { timestamps, names }: Printing): (line: LogLine) => void {
  const { terminal } = context;
  if (context.json) return (line) => terminal.out(`${JSON.stringify(line)}\n`);
  const colors = new Map<string, (typeof COLORS)[number]>();
  const paint = terminal.paintsOut;
  return (line) => {
    const color = colors.get(line.instanceId) ?? COLORS[colors.size % COLORS.length] ?? 'cyan';
    colors.set(line.instanceId, color);
    const who = cleanLine(line.instanceId);
    const shown = paint ? styleText(color, who, { validateStream: false }) : who;
    const time = timestamps ? `${new Date(line.timeMs).toISOString()} ` : '';
    const mark = line.stream === 'system' ? '* ' : '';
    terminal.out(`${time}${names ? `${shown} ` : ''}${mark}${cleanLine(line.text)}\n`);
  };
}
