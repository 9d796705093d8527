import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { HearthError } from '../../lib/errors.ts';
import { GIB } from '../../lib/limits.ts';
import { formatBytes } from '../../lib/units.ts';
import { cleanLine } from '../clean-text.ts';
import { connect, serverUrl } from '../connection.ts';
import type { Context } from '../options.ts';
import { findCommand, pingRedis } from '../up/redis.ts';

/** One thing that was looked at. `fail`: the platform cannot work; `warn`: it works with less. */
export interface Check {
  name: string;
  state: 'ok' | 'warn' | 'fail';
  /** What was found. */
  found: string;
  hint?: string;
}

const FAILED_EXIT = 8;
const DISK_BYTES_MIN = 2 * GIB;
const CHILD_MS_MAX = 20_000;
const SERVER_MS_MAX = 3_000;

/** `hearth doctor`: every check with what was found; exit code 8 when one fails. */
export async function doctor(context: Context): Promise<number> {
  const checks = [...(await machineChecks(context.dataRoot)), await checkServer(context)];
  if (context.json) context.terminal.out(`${JSON.stringify(checks)}\n`);
  else for (const check of checks) context.terminal.out(showCheck(check, context));
  return checks.some((check) => check.state === 'fail') ? FAILED_EXIT : 0;
}

/** What this machine must have before a platform is started on it. */
export async function machineChecks(dataRoot: string): Promise<Check[]> {
  return [
    ...(await checkKernel()),
    ...['nft', 'ip'].map(checkProgram),
    await checkRedis(dataRoot),
    await checkDisk(dataRoot),
  ];
}

function showCheck(check: Check, { terminal }: Context): string {
  const marks = { ok: '✔', warn: '!', fail: '✘' };
  const hint = check.hint === undefined || check.state === 'ok' ? '' : `\n    ${check.hint}`;
  const { paintsOut } = terminal;
  const mark = paintsOut
    ? terminal.style(STYLES[check.state], marks[check.state])
    : marks[check.state];
  return `${mark} ${check.name}: ${cleanLine(check.found)}${hint}\n`;
}

const STYLES = { ok: 'green', warn: 'yellow', fail: 'red' } as const;

/** The engine's own look at the kernel, in a process of its own as it makes namespaces. */
async function checkKernel(): Promise<Check[]> {
  const program = join(import.meta.dirname, '../../node-agent/doctor-main.js');
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [program, '--json'], {
      timeout: CHILD_MS_MAX,
    });
    return JSON.parse(stdout) as Check[];
  } catch (error) {
    const { stderr = '' } = error as { stderr?: string };
    const found = stderr.trim().split('\n').at(-1) || (error as Error).message;
    return [{ name: 'kernel', state: 'fail', found, hint: 'run hearth doctor as root' }];
  }
}

function checkProgram(name: string): Check {
  const path = findCommand(name);
  if (path !== undefined) return { name, state: 'ok', found: path };
  const hint = `apt-get install ${name === 'nft' ? 'nftables' : 'iproute2'}`;
  return { name, state: 'fail', found: 'not installed', hint };
}

async function checkRedis(dataRoot: string): Promise<Check> {
  const socket = join(dataRoot, 'run', 'redis.sock');
  if (existsSync(socket)) {
    const answer = await pingRedis(socket);
    if (answer === '+PONG') return { name: 'redis', state: 'ok', found: `answers on ${socket}` };
  }
  const path = findCommand('redis-server');
  if (path !== undefined) return { name: 'redis', state: 'ok', found: `${path}, not running` };
  const hint = 'apt-get install redis-server, or name a running one with --redis-url';
  return { name: 'redis', state: 'fail', found: 'not installed', hint };
}

async function checkDisk(dataRoot: string): Promise<Check> {
  let folder = dataRoot;
  while (!existsSync(folder)) folder = dirname(folder);
  const { bavail, bsize } = await statfs(folder);
  const freeBytes = bavail * bsize;
  const found = `${formatBytes(freeBytes)} free for ${dataRoot}`;
  if (freeBytes >= DISK_BYTES_MIN) return { name: 'disk', state: 'ok', found };
  const hint = `images need room: ${formatBytes(DISK_BYTES_MIN)} at least; see --data-root`;
  return { name: 'disk', state: 'warn', found, hint };
}

async function checkServer(context: Context): Promise<Check> {
  const url = serverUrl(context);
  try {
    const signal = AbortSignal.timeout(SERVER_MS_MAX);
    await connect(context).json('/readyz', { signal });
    return { name: 'server', state: 'ok', found: `${url} is ready` };
  } catch (error) {
    // A machine without a platform is as healthy as one with it, unless one was named.
    const state = context.server === undefined ? 'warn' : 'fail';
    const found = error instanceof HearthError ? error.message : `${url} does not answer`;
    return { name: 'server', state, found, hint: 'hearth up starts one' };
  }
}
