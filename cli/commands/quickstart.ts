import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { HearthError } from '../../lib/errors.ts';
import type { FunctionDescription } from '../../lib/management-api.ts';
import { packageRoot } from '../../lib/paths.ts';
import { formatDuration } from '../../lib/units.ts';
import { cleanText } from '../clean-text.ts';
import { connect } from '../connection.ts';
import { type DeployResult, deployFolder } from '../deploy/deploy.ts';
import { ProgressView } from '../deploy/progress-view.ts';
import { ApiClient } from '../http.ts';
import type { Context } from '../options.ts';
import { machineChecks } from './doctor.ts';
import { runPlatform, statusTable, type UpFlags } from './up.ts';

export interface QuickstartFlags extends UpFlags {
  once?: boolean;
}

const EXAMPLE = 'functions-examples/hello-node';
/** Short, so that the first call below starts an instance. */
const IDLE_MS = 1_000;
const ZERO_MS_MAX = 20_000;
const POLL_MS = 100;

/**
 * `npm run quickstart`: checks the machine, starts a platform with a data root of its own, deploys
 * the example as a user would, calls it cold and warm, and stays until Ctrl-C. Nothing is left.
 */
export async function quickstart(context: Context, flags: QuickstartFlags): Promise<number> {
  const { keepsRoot } = context;
  const dataRoot = keepsRoot ? context.dataRoot : mkdtempSync('/var/tmp/hearth-quickstart-');
  try {
    await preflight(dataRoot);
    const own = { ...context, dataRoot };
    return await runPlatform(
      own,
      { ...flags, anyPort: true },
      async (platform, startMs, signal) => {
        const here: Context = { ...own, server: platform.url };
        const say = (line: string): void => context.terminal.out(`${line}\n`);
        sayPort(platform.url, flags, say);
        const story = await tell(here, signal, say);
        say('');
        say(statusTable(platform.status(), dataRoot).trimEnd());
        say('');
        say(`platform  ready in ${formatDuration(startMs)}`);
        for (const line of story) say(line);
        say(`metrics   ${platform.url}/metrics`);
        if (flags.once === true) return 'stop';
        for (const line of nextSteps(dataRoot, keepsRoot)) say(line);
        return 'stay';
      },
    );
  } catch (error) {
    throw keepsRoot ? error : withoutLostLog(error, dataRoot);
  } finally {
    if (!keepsRoot) removeRoot(dataRoot, context);
  }
}

/** A hint that names a log below the data root that is removed now says how to keep it instead. */
export function withoutLostLog(error: unknown, dataRoot: string): unknown {
  if (!(error instanceof HearthError) || error.hint?.includes(dataRoot) !== true) return error;
  return new HearthError(error.code, error.message, {
    hint: 'HEARTH_DATA_ROOT=DIR npm run quickstart keeps the logs, in DIR/run',
    ...(error.details === undefined ? {} : { details: error.details }),
    cause: error,
  });
}

/** @throws HearthError KernelUnsupported with all that is missing */
async function preflight(dataRoot: string): Promise<void> {
  const failed = (await machineChecks(dataRoot)).filter((check) => check.ok === 'fail');
  if (failed.length === 0) return;
  const found = failed.map((check) => `${check.name}: ${check.found}`).join('; ');
  throw new HearthError('KernelUnsupported', `this machine cannot run Hearth: ${found}`, {
    hint: failed.map((check) => check.meaning).join('; '),
  });
}

function sayPort(url: string, flags: QuickstartFlags, say: (line: string) => void): void {
  const wanted = flags.port ?? '8080';
  if (wanted !== '0' && new URL(url).port !== wanted) {
    say(`port ${wanted} is in use, so the gateway listens on ${url}`);
  }
}

/** Deploys and calls the example; returns what to say about it at the end. */
async function tell(
  context: Context,
  signal: AbortSignal,
  say: (line: string) => void,
): Promise<string[]> {
  say(`deploying ${EXAMPLE}`);
  const beganAtMs = performance.now();
  const result = await deployExample(context, signal);
  if (result.state !== 'ready') throw new HearthError('Internal', 'the deploy did not end');
  const deployMs = performance.now() - beganAtMs;
  say('waiting until it has scaled to zero');
  await untilZero(context, result.name, signal);
  const first = await call(result.url, signal);
  const second = await call(result.url, signal);
  say(`answer    ${cleanText(first.body.trim())}`);
  return [
    `deploy    ${formatDuration(deployMs)}, from the folder to a ready instance`,
    first.isCold
      ? `cold      ${formatDuration(first.ms)}, from zero instances to the answer`
      : `first     ${formatDuration(first.ms)}`,
    `warm      ${formatDuration(second.ms)}`,
    `function  ${result.url}`,
  ];
}

async function deployExample(context: Context, signal: AbortSignal): Promise<DeployResult> {
  const view = new ProgressView(context.terminal);
  const close = (): void => view.close();
  signal.addEventListener('abort', close);
  try {
    return await deployFolder(connect(context), {
      folder: join(packageRoot, EXAMPLE),
      flags: { scale: { idleMs: IDLE_MS } },
      force: false,
      strict: false,
      wait: true,
      signal,
      onEvent: (event) => view.show(event),
      onUpload: (title) => view.note(title),
    });
  } finally {
    signal.removeEventListener('abort', close);
    view.close();
  }
}

async function untilZero(context: Context, name: string, signal: AbortSignal): Promise<void> {
  const api = connect(context);
  for (let waitedMs = 0; waitedMs < ZERO_MS_MAX; waitedMs += POLL_MS) {
    const { instances } = await api.json<FunctionDescription>(`/v1/functions/${name}`, { signal });
    if (instances.length === 0) return;
    await sleep(POLL_MS, undefined, { signal });
  }
}

interface Call {
  body: string;
  ms: number;
  isCold: boolean;
}

/** @throws HearthError InstanceUnreachable unless the function answers 200 */
async function call(url: string, signal: AbortSignal): Promise<Call> {
  const { origin, pathname } = new URL(url);
  const beganAtMs = performance.now();
  const answer = await new ApiClient({ baseUrl: origin, token: undefined }).raw(pathname, {
    signal,
  });
  const body = await text(answer);
  const ms = performance.now() - beganAtMs;
  if (answer.statusCode === 200)
    return { body, ms, isCold: answer.headers['x-cold-start'] === '1' };
  throw new HearthError('InstanceUnreachable', `${url} answered ${answer.statusCode}: ${body}`);
}

function nextSteps(dataRoot: string, keepsRoot: boolean): string[] {
  return [
    '',
    'Try next, in another terminal:',
    ...(keepsRoot ? [] : [`  export HEARTH_DATA_ROOT=${dataRoot}`]),
    '  npx hearth invoke hello-node',
    '  npx hearth describe hello-node',
    '  npx hearth deploy functions-examples/hello-python',
    '',
    'Ctrl-C stops everything and leaves nothing behind',
  ];
}

/** Never into something that is mounted: a mount that was left is told and kept. */
function removeRoot(dataRoot: string, context: Context): void {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((path) => path.startsWith(`${dataRoot}/`));
  if (mounts.length === 0) rmSync(dataRoot, { recursive: true, force: true });
  else context.terminal.err(`warning: ${dataRoot} stays, as ${mounts[0]} is still mounted\n`);
}
