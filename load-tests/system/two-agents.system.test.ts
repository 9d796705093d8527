import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import type { SystemAnswer } from '../../lib/management-api.ts';
import { spawnBound } from '../../lib/testing/bound.ts';
import { call, probe } from './call.ts';
import { answering, makeFolder } from './folder.ts';
import { leftovers } from './ledger.ts';
import { CLI, Platform, takePlace, until, whyNotHere } from './platform.ts';

/** A second node agent joins the platform, as on another machine, and dies. */

const SECOND = 'second';

let platform: Platform;
let agent: Agent;

class Agent {
  readonly dataRoot = join(platform.folder, 'two');
  readonly #place = takePlace();
  #child: ChildProcess | undefined;

  constructor() {
    mkdirSync(this.dataRoot, { mode: 0o711 });
    chownSync(this.dataRoot, 0, statSync(platform.dataRoot).gid);
  }

  /** Starts it and waits until the platform knows it. */
  async start(): Promise<void> {
    const flags = {
      name: SECOND,
      'data-root': this.dataRoot,
      'redis-url': `unix://${join(platform.dataRoot, platform.addressesOf('redis')[0] ?? '')}`,
      'registry-url': `http://${platform.addressesOf('builder')[1]}`,
      subnet: this.#place.subnet,
      'uid-base': String(this.#place.uidBase),
      port: '0',
    };
    const args = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value]);
    this.#child = spawnBound(process.execPath, [CLI, 'agent', ...args], {
      env: { PATH: process.env.PATH, HEARTH_CLUSTER_TOKEN: platform.secret('cluster-token') },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        said = (said + chunk.toString()).slice(-4_000);
      });
    }
    const sinceMs = Date.now();
    await until(
      async () =>
        (await nodes()).some((node) => node.name === SECOND && node.heartbeatAtMs >= sinceMs),
      () => `the second node: ${said}`,
    );
  }

  /** The daemon itself, not the command that started it. */
  get pid(): number {
    return Number.parseInt(
      readFileSync(join(this.dataRoot, 'agent', SECOND, 'agent.pid'), 'utf8'),
      10,
    );
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null) return;
    const closed = once(child, 'close');
    process.kill(this.pid, signal);
    await closed;
  }
}

suite('two agents', { skip: whyNotHere() }, () => {
  before(async () => {
    platform = await new Platform().up();
    agent = new Agent();
    await agent.start();
  });
  after(async () => {
    await agent.end('SIGTERM');
    assert.deepEqual(leftovers(agent.dataRoot), []);
    await platform.end();
  });

  test('instances of one function stand on both nodes, and both answer', async () => {
    const folder = makeFolder(join(platform.folder, 'spread'), {
      'index.mjs': 'export default (request, context) => context.instance;\n',
    });
    await platform.well('deploy', folder, '--min', '2', '--max', '2', '--concurrency', '1');
    await until(
      async () => (await placement()).size === 2,
      () => 'instances on both nodes',
    );
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => call(platform.at('spread'))),
    );
    assert.ok(answers.every(({ status }) => status === 200));
    assert.equal(new Set(answers.map(({ body }) => body)).size, 2);
  });

  test('a node that dies is replaced, and no call fails', async () => {
    const [first] = (await nodes()).filter(({ name }) => name !== SECOND);
    const prober = probe(platform.at('spread'), 20);
    await agent.end('SIGKILL');
    await until(
      async () => {
        const { instances } = await platform.describe('spread');
        const ready = instances.filter(({ state }) => state === 'ready');
        return ready.length === 2 && ready.every(({ node }) => node === first?.name);
      },
      () => 'both instances on the first node',
    );
    const { calls, failures } = await prober.stop();
    assert.deepEqual(failures.slice(0, 3), [], `${failures.length} of ${calls} failed`);
  });

  test('a node that comes back serves again, and clears up what it had', async () => {
    await agent.start();
    const folder = makeFolder(join(platform.folder, 'later'), { 'index.mjs': answering('later') });
    await platform.well('deploy', folder, '--min', '2', '--max', '2');
    await until(
      async () => (await placement('later')).size === 2,
      () => 'instances on both nodes',
    );
    assert.equal((await call(platform.at('later'))).body, 'later');
  });

  test('a node that is stopped hands its instances over, and no call fails', async () => {
    const prober = probe(platform.at('later'), 20);
    await agent.end('SIGTERM');
    await until(
      async () => {
        const { instances } = await platform.describe('later');
        return (
          instances.filter(({ node, state }) => node !== SECOND && state === 'ready').length === 2
        );
      },
      () => 'both instances on the first node',
    );
    const { calls, failures } = await prober.stop();
    assert.deepEqual(failures.slice(0, 3), [], `${failures.length} of ${calls} failed`);
    assert.deepEqual(leftovers(agent.dataRoot), []);
  });
});

async function nodes(): Promise<SystemAnswer['nodes']> {
  const headers = { authorization: `Bearer ${platform.secret('token')}` };
  const { body } = await call(`${platform.url}/v1/system`, { headers });
  return (JSON.parse(body) as SystemAnswer).nodes;
}

/** Nodes with ready instances of the function. */
async function placement(name = 'spread'): Promise<Set<string>> {
  const { instances } = await platform.describe(name);
  return new Set(instances.filter(({ state }) => state === 'ready').map(({ node }) => node));
}
