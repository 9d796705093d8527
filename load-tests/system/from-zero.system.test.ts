import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync } from 'node:fs';
import { Agent } from 'node:http';
import { join } from 'node:path';
import { after, before, suite, type TestContext, test } from 'node:test';
import { packageRoot } from '../../lib/paths.ts';
import { spreadOf } from '../bench/percentiles.ts';
import { type Answer, call } from './call.ts';
import { Platform, whyNotHere } from './platform.ts';

/** A thousand calls from fifty connections at once, the first of them at no instance. */

const CALLS = 1_000;
const CONNECTIONS = 50;
const EXAMPLES = join(packageRoot, 'functions-examples');

let platform: Platform;

suite('from zero', { skip: whyNotHere('make', 'cc') }, () => {
  before(async () => {
    platform = await new Platform().up();
  });
  after(() => platform.end());

  test('an image from a Dockerfile', async (t) => {
    const folder = join(platform.folder, 'c-scratch');
    cpSync(join(EXAMPLES, 'c-scratch'), folder, { recursive: true });
    const made = spawnSync('make', ['-C', folder], { encoding: 'utf8' });
    assert.equal(made.status, 0, made.stderr);
    await rush(t, 'c-scratch', folder);
  });

  test('a folder with a handler', (t) => rush(t, 'hello-node', join(EXAMPLES, 'hello-node')));
});

async function rush(t: TestContext, name: string, folder: string): Promise<void> {
  await platform.well('deploy', folder, '--idle', '1s');
  await platform.untilZero(name);

  const answers = await callFromAll(platform.at(name));

  const failed = answers.filter(({ status }) => status !== 200);
  assert.deepEqual(failed.slice(0, 3), [], `${failed.length} of ${CALLS} failed`);
  assert.equal(answers.length, CALLS);
  const cold = answers.filter(({ headers }) => headers['x-cold-start'] === '1');
  assert.ok(cold.length > 0, 'the first calls waited for a start');
  report(t, name, answers, cold);
  const { instances } = await platform.describe(name);
  assert.ok(instances.length >= 1 && instances.length <= 10, `${instances.length} instances`);
  const logs = await platform.well('logs', name, '--json');
  assert.doesNotMatch(logs, /out of memory|crash/i);
}

/** Each connection sends its next request once the last was answered. */
async function callFromAll(url: string): Promise<Answer[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  const each = async (): Promise<Answer[]> => {
    const answers: Answer[] = [];
    while (answers.length < CALLS / CONNECTIONS) answers.push(await call(url, { agent }));
    return answers;
  };
  try {
    return (await Promise.all(Array.from({ length: CONNECTIONS }, each))).flat();
  } finally {
    agent.destroy();
  }
}

function report(t: TestContext, name: string, answers: Answer[], cold: Answer[]): void {
  const warm = answers.filter(({ headers }) => headers['x-cold-start'] !== '1');
  const shown = Object.entries({ cold, warm }).map(([what, of]) => {
    const { count, p50, p99, max } = spreadOf(of.map(({ ms }) => ms));
    const [mid, high, most] = [p50, p99, max].map((ms) => `${ms.toFixed(1)} ms`);
    return `${what} ×${count}: p50 ${mid}, p99 ${high}, max ${most}`;
  });
  t.diagnostic(`${name}: ${shown.join('; ')}`);
}
