import { existsSync } from 'node:fs';
import { Agent } from 'node:http';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { HttpClient } from '../../lib/http/client.ts';
import type { SystemAnswer } from '../../lib/management-api.ts';
import { packageRoot } from '../../lib/paths.ts';
import type { InstanceRecord } from '../../lib/records.ts';
import { run } from '../programs/run.ts';
import { timedCall } from './call.ts';
import { spawnNodeMs, startDirectServer } from './controls.ts';
import { spreadOf } from './percentiles.ts';
import type { MeasuredPlatform } from './platform.ts';
import type { Row } from './report.ts';

export interface RowOptions {
  platform: MeasuredPlatform;
  coldCalls: number;
  warmCalls: number;
}

type Measure = (options: RowOptions) => Promise<Row>;

const FUNCTION = 'bench-hello';
const FOLDER = join(packageRoot, 'functions-examples/hello-node');
const CLI = join(packageRoot, 'dist/cli/main.js');
const WARM_UP_CALLS = 200;
/** Until the gateway has heard that the last instance is gone. */
const SETTLE_MS = 50;

/** All rows by name, in the order in which they are measured; `deploy` makes what others call. */
export const ROWS: Readonly<Record<string, Measure>> = {
  deploy: deployRow,
  cold: coldRow,
  warm: warmRow,
  memory: memoryRow,
};

/** Removes what the rows deployed. */
export async function removeFunction(platform: MeasuredPlatform): Promise<void> {
  await hearth(platform, ['remove', FUNCTION, '--ignore-missing']);
}

async function deployRow({ platform }: RowOptions): Promise<Row> {
  const what = 'deploy hello-node until it answers';
  if (!existsSync(FOLDER)) return { name: 'deploy', what, missing: `${FOLDER} is not there` };
  const took: number[] = [];
  for (const extra of [[], ['--force'], ['--force']]) {
    const beganMs = performance.now();
    await hearth(platform, ['deploy', FOLDER, '--name', FUNCTION, ...extra]);
    took.push(performance.now() - beganMs);
  }
  return { name: 'deploy', what, ours: spreadOf(took) };
}

async function coldRow({ platform, coldCalls }: RowOptions): Promise<Row> {
  const what = 'cold call through the gateway, Node';
  if (platform.clusterToken === undefined) {
    return {
      name: 'cold',
      what,
      missing: 'instances elsewhere cannot be ended; use the k6 script',
    };
  }
  const agent = new Agent({ keepAlive: true });
  const ours: number[] = [];
  const control: number[] = [];
  const phases: Record<string, number[]> = {};
  for (let i = 0; i < coldCalls; i++) {
    await endInstances(platform);
    const call = await timedCall(urlOf(platform), agent);
    if (call.status !== 200 || !call.isCold) {
      throw new Error(`cold call ${i}: status ${call.status}, cold ${call.isCold}`);
    }
    ours.push(call.ms);
    for (const [phase, ms] of Object.entries(call.phases)) {
      phases[phase] = [...(phases[phase] ?? []), ms];
    }
    control.push(await spawnNodeMs());
  }
  agent.destroy();
  return {
    name: 'cold',
    what,
    ours: spreadOf(ours),
    phasesP50: Object.fromEntries(
      Object.entries(phases).map(([phase, values]) => [phase, spreadOf(values).p50]),
    ),
    control: { what: 'spawn node', spread: spreadOf(control) },
  };
}

async function warmRow({ platform, warmCalls }: RowOptions): Promise<Row> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const direct = await startDirectServer();
  const ours: number[] = [];
  const control: number[] = [];
  for (let i = 0; i < WARM_UP_CALLS + warmCalls; i++) {
    const call = await timedCall(urlOf(platform), agent);
    const plain = await timedCall(direct.url, agent);
    if (call.status !== 200) throw new Error(`warm call ${i}: status ${call.status}`);
    if (i < WARM_UP_CALLS) continue;
    ours.push(call.ms);
    control.push(plain.ms);
  }
  agent.destroy();
  direct.server.close();
  return {
    name: 'warm',
    what: 'warm call through the gateway, 1 connection',
    ours: spreadOf(ours),
    control: { what: 'a Node server without a gateway', spread: spreadOf(control) },
  };
}

async function memoryRow({ platform }: RowOptions): Promise<Row> {
  const bytes = platform.residentBytes();
  const what = 'resident memory';
  if (Object.keys(bytes).length > 0) return { name: 'memory', what, bytes };
  return { name: 'memory', what, missing: 'the platform runs elsewhere' };
}

function urlOf(platform: MeasuredPlatform): string {
  return `${platform.url}/function/${FUNCTION}`;
}

/** Ends every instance on every node, so that the next call finds none. */
async function endInstances(platform: MeasuredPlatform): Promise<void> {
  const gateway = new HttpClient({ baseUrl: platform.url, token: platform.token, peer: 'gateway' });
  const { nodes } = await gateway.json<SystemAnswer>('/v1/system');
  await gateway.close();
  for (const { address, name } of nodes) {
    const token = platform.clusterToken ?? '';
    const agent = new HttpClient({ baseUrl: address, token, peer: `node agent "${name}"` });
    const { instances } = await agent.json<{ instances: InstanceRecord[] }>('/v1/instances');
    for (const { id } of instances) await agent.raw(`/v1/instances/${id}`, { method: 'DELETE' });
    await agent.close();
  }
  await delay(SETTLE_MS);
}

async function hearth(platform: MeasuredPlatform, args: readonly string[]): Promise<void> {
  const env = { HEARTH_URL: platform.url, HEARTH_TOKEN: platform.token };
  const ran = await run(process.execPath, [CLI, ...args], { env });
  if (ran.code !== 0) throw new Error(`hearth ${args.join(' ')} exited ${ran.code}: ${ran.stderr}`);
}
