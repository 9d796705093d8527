import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { HearthError } from '../../lib/errors.ts';
import { cleanLine } from '../clean-text.ts';
import { connect, serverUrl } from '../connection.ts';
import type { Context } from '../options.ts';
import { upFolders } from '../up/folders.ts';
import { privilegeFacts } from '../up/machine.ts';
import { DEFAULT_PORTS } from '../up/plan.ts';
import { decidePrivileges } from '../up/privileges.ts';
import { findCommand, pingRedis } from '../up/redis.ts';

/** One thing that was looked at; `fail`: the platform cannot work, `warn`: it works with less. */
export interface Check {
  name: string;
  ok: 'pass' | 'warn' | 'fail';
  /** What was found. */
  found: string;
  /** What it means, and what to do if it is not well. */
  meaning: string;
}

const FAILED_EXIT = 8;
const CHILD_MS_MAX = 20_000;
const SERVER_MS_MAX = 3_000;

/** `hearth doctor`: every check with what was found; exit code 8 when one fails. */
export async function doctor(context: Context): Promise<number> {
  const checks = [...(await machineChecks(context.dataRoot)), ...(await serverChecks(context))];
  if (context.json) context.terminal.out(`${JSON.stringify(checks)}\n`);
  else for (const check of checks) context.terminal.out(showCheck(check, context));
  return checks.some((check) => check.ok === 'fail') ? FAILED_EXIT : 0;
}

/** What this machine must have before a platform is started on it. */
export async function machineChecks(dataRoot: string): Promise<Check[]> {
  return [...(await checkKernel(dataRoot)), await checkRedis(dataRoot), checkUsers(dataRoot)];
}

const MARKS = { pass: '✔', warn: '!', fail: '✘' } as const;
const STYLES = { pass: 'green', warn: 'yellow', fail: 'red' } as const;

function showCheck(check: Check, { terminal }: Context): string {
  const mark = MARKS[check.ok];
  const shown = terminal.paintsOut ? terminal.style(STYLES[check.ok], mark) : mark;
  const meaning = check.ok === 'pass' ? '' : `\n  ${cleanLine(check.meaning)}`;
  return `${shown} ${check.name}: ${cleanLine(check.found)}${meaning}\n`;
}

/** The engine's own look at the machine, in a process of its own as the CLI imports no daemon. */
async function checkKernel(dataRoot: string): Promise<Check[]> {
  const program = join(import.meta.dirname, '../../node-agent/doctor-main.js');
  try {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [program, nearestFolder(dataRoot)],
      { timeout: CHILD_MS_MAX },
    );
    return JSON.parse(stdout) as Check[];
  } catch (error) {
    const { stderr = '' } = error as { stderr?: string };
    const found = /^\w*Error.*$/m.exec(stderr)?.[0] ?? (error as Error).message;
    return [{ name: 'kernel', ok: 'fail', found, meaning: 'the checks of the engine did not run' }];
  }
}

/** The data root, or the folder above it in which it would be made. */
function nearestFolder(path: string): string {
  return existsSync(path) ? path : nearestFolder(dirname(path));
}

async function checkRedis(dataRoot: string): Promise<Check> {
  const meaning = 'apt-get install redis-server, or name a running one with --redis-url';
  const { redisSocket: socket } = upFolders(dataRoot);
  const runs = existsSync(socket) && (await pingRedis(socket)) === '+PONG';
  if (runs) return { name: 'redis', ok: 'pass', found: `answers on ${socket}`, meaning };
  const path = findCommand('redis-server');
  const found = path === undefined ? 'not installed' : `${path}, not running`;
  return { name: 'redis', ok: path === undefined ? 'fail' : 'pass', found, meaning };
}

/** Whom Redis, scheduler and gateway run as under `hearth up` by root. */
function checkUsers(dataRoot: string): Check {
  const programs = join(import.meta.dirname, '../..');
  const facts = privilegeFacts({ dataRoot, programs, port: DEFAULT_PORTS.gateway });
  const { of, warnings } = decidePrivileges({ ...facts, isRoot: true });
  const users = Object.entries(of).map(([name, { user }]) => `${name} ${user?.uid ?? 'root'}`);
  const less = warnings.map((warning) => warning.replace('warning: ', '')).join('; ');
  return {
    name: 'users',
    ok: warnings.length === 0 ? 'pass' : 'warn',
    found: less === '' ? users.join(', ') : less,
    meaning:
      'they need no root: Hearth and its data root belong below folders that all may pass, such as /opt and /var/lib',
  };
}

async function serverChecks(context: Context): Promise<Check[]> {
  const url = serverUrl(context);
  // A machine without a platform is as healthy as one with it, unless one was named.
  const ok = context.server === undefined ? 'warn' : 'fail';
  const server = await reach(context, '/readyz');
  const meaning = 'hearth up starts a platform here, --server names another';
  if (server !== undefined) return [{ name: 'server', ok, found: server, meaning }];
  const registry = await reach(context, '/v2/');
  return [
    { name: 'server', ok: 'pass', found: `${url} is ready`, meaning },
    {
      name: 'registry',
      ok: registry === undefined ? 'pass' : 'fail',
      found: registry ?? 'answers',
      meaning: 'images are kept there; without it nothing can be deployed',
    },
  ];
}

/** Undefined when the path answers well, else what is wrong. */
async function reach(context: Context, path: string): Promise<string | undefined> {
  try {
    const answer = await connect(context).call(path, {
      signal: AbortSignal.timeout(SERVER_MS_MAX),
    });
    answer.resume();
    return undefined;
  } catch (error) {
    return error instanceof HearthError ? error.message : `${path} did not answer in time`;
  }
}
