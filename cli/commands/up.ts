import { join } from 'node:path';
import { CONFIG_KEYS } from '../../lib/config.ts';
import { HearthError } from '../../lib/errors.ts';
import { formatBytes, formatDuration } from '../../lib/units.ts';
import { onInterrupt } from '../interrupts.ts';
import type { Context } from '../options.ts';
import { table } from '../table.ts';
import type { ComponentStatus } from '../up/component.ts';
import { type Platform, startPlatform } from '../up/platform.ts';

export interface UpFlags {
  port?: string;
  host?: string;
  redisUrl?: string;
  subnet?: string;
  uidBase?: string;
  verbose?: boolean;
}

const PORT_DEFAULT = 8080;
const PORT_MAX = 65_535;

/** `hearth up`: the whole platform on this machine until Ctrl-C. Resolves with the exit code. */
export async function up(context: Context, flags: UpFlags): Promise<number> {
  return runPlatform(context, { ...flags, anyPort: false }, async (platform, startMs) => {
    const { terminal } = context;
    terminal.err(statusTable(platform.status(), context.dataRoot));
    terminal.err(`\nready in ${formatDuration(startMs)}: ${platform.url}\n`);
    terminal.err('Ctrl-C stops everything\n');
    return 'stay';
  });
}

export type AfterStart = (
  platform: Platform,
  startMs: number,
  signal: AbortSignal,
) => Promise<'stay' | 'stop'>;

/** Starts the platform, does `afterStart`, waits for Ctrl-C unless that says stop, and stops it. */
export async function runPlatform(
  context: Context,
  flags: UpFlags & { anyPort: boolean },
  afterStart: AfterStart,
): Promise<number> {
  requireRoot();
  const { terminal } = context;
  const asked = new AbortController();
  let platform: Platform | undefined;
  const forget = onInterrupt(
    () => {
      // First, so that what is drawn on the screen is taken away before a line is added.
      asked.abort(new HearthError('Interrupted', 'interrupted'));
      terminal.err('\nstopping\n');
    },
    () => {
      terminal.err('ending everything at once\n');
      platform?.kill();
      process.exit(130);
    },
  );
  try {
    const beganAtMs = performance.now();
    platform = await startPlatform({
      dataRoot: context.dataRoot,
      host: flags.host ?? '127.0.0.1',
      port: parsePort(flags.port),
      anyPort: flags.anyPort,
      ...(flags.redisUrl === undefined ? {} : { redisUrl: flags.redisUrl }),
      ...(flags.subnet === undefined ? {} : { subnet: flags.subnet }),
      ...(flags.uidBase === undefined ? {} : { uidBase: parseUidBase(flags.uidBase) }),
      programs: join(import.meta.dirname, '../..'),
      say: (line) => terminal.err(`${line}\n`),
      ...(flags.verbose === true ? { onOutput: echo(context) } : {}),
      signal: asked.signal,
    });
    return await untilStopped(platform, performance.now() - beganAtMs, asked.signal, afterStart);
  } catch (error) {
    if (asked.signal.aborted) return 130;
    throw error;
  } finally {
    forget();
  }
}

async function untilStopped(
  platform: Platform,
  startMs: number,
  signal: AbortSignal,
  afterStart: AfterStart,
): Promise<number> {
  try {
    const then = await afterStart(platform, startMs, signal);
    if (then === 'stay' && !signal.aborted) {
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
    }
  } finally {
    await platform.stop();
  }
  return 0;
}

function echo(context: Context) {
  return (component: string, chunk: Buffer): void => {
    const lines = chunk.toString('utf8').split('\n').filter(Boolean);
    for (const line of lines) context.terminal.err(`${component.padEnd(10)} ${line}\n`);
  };
}

function requireRoot(): void {
  if (process.getuid?.() === 0) return;
  throw new HearthError('Forbidden', 'hearth up must run as root: it makes containers itself', {
    hint: 'sudo hearth up; or name a platform that runs elsewhere with --server URL',
  });
}

function parsePort(text: string | undefined): number {
  if (text === undefined) return PORT_DEFAULT;
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port <= PORT_MAX) return port;
  throw new HearthError(
    'UsageInvalid',
    `--port must be an integer from 0 to ${PORT_MAX}: current value is "${text}"`,
  );
}

/** Component, user, time to readiness, resident memory and address, one a line of 80 columns. */
export function statusTable(components: readonly ComponentStatus[], dataRoot: string): string {
  const rows = components.map((component) => [
    component.name,
    userName(component.uid),
    formatDuration(component.readyMs),
    component.residentBytes === undefined ? '-' : formatBytes(component.residentBytes),
    Object.values(component.addresses)
      .map((url) => shortAddress(url, dataRoot))
      .join(' '),
  ]);
  return table(['COMPONENT', 'USER', 'READY', 'MEMORY', 'ADDRESS'], rows);
}

/** Host and port, or a socket by its path in the data root. */
function shortAddress(url: string, dataRoot: string): string {
  return url.replace(`unix://${dataRoot}/`, '').replace('http://', '');
}

function userName(uid: number | undefined): string {
  return uid === 0 ? 'root' : `${uid ?? '-'}`;
}

/** @throws HearthError ConfigInvalid */
function parseUidBase(text: string): number {
  try {
    return Number(CONFIG_KEYS.uidBase.parse(text));
  } catch (error) {
    throw new HearthError('ConfigInvalid', `--uid-base ${(error as Error).message}`);
  }
}
