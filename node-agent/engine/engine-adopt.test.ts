import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { HearthError } from '../../lib/errors.ts';
import type { ContainerSpec } from './container-spec.ts';
import { createEngine } from './engine.ts';
import type { Container, Engine, EngineOptions } from './engine-types.ts';
import { isSameProcess, processStartTime } from './kernel/process-identity.ts';
import { makeBusyboxLayer, missingForContainers } from './testing/busybox-layer.ts';
import { engineOptions, makeSpec } from './testing/engine-world.ts';

const skip = missingForContainers() ?? false;
/** Of a start that met the launcher as it died. */
const TRIES_MAX = 20;
const PROGRAM = fileURLToPath(new URL('./testing/engine-process.js', import.meta.url));

/** A start whose launcher dies fails as one that may be tried again. */
async function startAgain(engine: Engine, spec: ContainerSpec): Promise<Container> {
  for (let tries = 1; ; tries++) {
    try {
      return await engine.start({ ...spec, id: `${spec.id}-${tries}` });
    } catch (error) {
      assert.ok(error instanceof HearthError && error.retryable, String(error));
      if (tries === TRIES_MAX) throw error;
      await sleep(50);
    }
  }
}

/** Everything of an engine that the kernel can show. */
function traces(options: EngineOptions): string[] {
  const found: string[] = [];
  const look = (where: string, text: string) => {
    for (const line of text.split('\n')) {
      const ours = line.includes(`hearth-${options.name}`) || line.includes(`h${options.name}-`);
      if (ours || line.includes(`hearth_${options.name}`) || line.includes(options.stateDir)) {
        found.push(`${where}: ${line}`);
      }
    }
  };
  look('mount', readFileSync('/proc/self/mountinfo', 'utf8'));
  look('link', readdirSync('/sys/class/net').join('\n'));
  look('table', execFileSync('nft', ['list', 'tables'], { encoding: 'utf8' }));
  look('netns', existsSync('/run/netns') ? readdirSync('/run/netns').join('\n') : '');
  for (const line of readFileSync('/proc/mounts', 'utf8').split('\n')) {
    const [, root = '', type = ''] = line.split(' ');
    if (type.startsWith('cgroup') && existsSync(`${root}/hearth/${options.name}`)) {
      found.push(`cgroup: ${root}/hearth/${options.name}`);
    }
  }
  return found;
}

async function startElsewhere(
  t: TestContext,
  options: EngineOptions,
  spec: ContainerSpec,
): Promise<{ child: ChildProcess; pid: number; address?: string }> {
  const { log: _, ...plain } = options;
  const child = spawn(process.execPath, [PROGRAM, JSON.stringify(plain), JSON.stringify(spec)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  const line = await new Promise<string>((resolve, reject) => {
    let text = '';
    child.stdout?.on('data', (chunk) => {
      text += chunk;
      if (text.includes('\n')) resolve(text);
    });
    child.once('exit', () => reject(new Error(`engine process ended: ${text}`)));
  });
  return { child, ...JSON.parse(line) };
}

function parentOf(pid: number): number {
  return Number(/^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

async function killAndWait(child: ChildProcess): Promise<void> {
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await gone;
}

function makeFolder(t: TestContext): { folder: string; layer: string } {
  const folder = mkdtempSync(join(tmpdir(), 'hearth-adopt-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return { folder, layer: makeBusyboxLayer(join(folder, 'layer')) };
}

describe('a container and the end of its engine', { skip }, () => {
  test('kill -9 of the engine leaves it running; the next engine adopts it', async (t) => {
    const { folder, layer } = makeFolder(t);
    const options = engineOptions(folder);
    const listenPath = join(folder, 'adopt.sock');
    const script = 'n=0; while :; do n=$((n+1)); echo line $n; sleep 0.05; done';
    const secret = 'sentinel-of-a-secret';
    const spec = makeSpec(layer, ['/bin/sh', '-c', script], {
      network: 'bridge',
      listenPath,
      env: ['PATH=/bin', `SECRET=${secret}`],
    });
    const elsewhere = await startElsewhere(t, options, spec);
    const state = readFileSync(join(options.stateDir, 'containers', spec.id, 'state.json'), 'utf8');
    assert.ok(!state.includes(secret));
    await killAndWait(elsewhere.child);
    await sleep(200);
    process.kill(elsewhere.pid, 0);

    const engine = await createEngine(options);
    t.after(() => engine.close());
    const [container, ...others] = await engine.adopt();
    assert.equal(others.length, 0);
    assert.ok(container !== undefined);
    assert.deepEqual(
      [container.id, container.pid, container.address],
      [spec.id, elsewhere.pid, elsewhere.address],
    );
    assert.equal(engine.get(spec.id), container);
    const line = await new Promise<string>((resolve) => {
      container.onOutput((_, chunk) => resolve(chunk.toString()));
    });
    assert.match(line, /line \d/);
    const socket = connect(listenPath);
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    socket.destroy();
    // Its slots are its own still
    const next = await engine.start(makeSpec(layer, ['sleep', '60'], { network: 'bridge' }));
    assert.notEqual(next.address, container.address);
    await next.remove();
    assert.deepEqual(await container.kill(), { oomKilled: false });
    await container.remove();
    await engine.close();
    assert.deepEqual(traces(options), []);
  });

  test('what ended without a word, or was never finished, while no engine was there is removed', async (t) => {
    const { folder, layer } = makeFolder(t);
    const options = engineOptions(folder);
    const spec = makeSpec(layer, ['sleep', '60'], { network: 'bridge' });
    const elsewhere = await startElsewhere(t, options, spec);
    await killAndWait(elsewhere.child);
    process.kill(parentOf(elsewhere.pid), 'SIGKILL');
    await sleep(50);
    const engine = await createEngine(options);
    t.after(() => engine.close());
    assert.deepEqual(await engine.adopt(), []);
    assert.deepEqual(readdirSync(join(options.stateDir, 'containers')), []);
    await engine.close();
    assert.deepEqual(traces(options), []);
  });

  test('how it ended is known although neither engine nor launcher saw it', async (t) => {
    const { folder, layer } = makeFolder(t);
    for (const [script, expected] of [
      ['sleep 0.4; exit 9', { code: 9, oomKilled: false }],
      ['sleep 0.4; kill -11 $$', { signal: 11, oomKilled: false }],
    ] as const) {
      const options = engineOptions(folder);
      const spec = makeSpec(layer, ['/bin/sh', '-c', script], { network: 'bridge' });
      const elsewhere = await startElsewhere(t, options, spec);
      await killAndWait(elsewhere.child);
      await sleep(600);
      const engine = await createEngine(options);
      t.after(() => engine.close());
      const [container] = await engine.adopt();
      assert.equal(container?.id, spec.id);
      assert.deepEqual(await container.exited, expected);
      await container.remove();
      await engine.close();
      assert.deepEqual(traces(options), []);
    }
  });

  test('an adopted container that ends later says how', async (t) => {
    const { folder, layer } = makeFolder(t);
    const options = engineOptions(folder);
    const spec = makeSpec(layer, [
      '/bin/sh',
      '-c',
      'trap "exit 6" TERM; while :; do sleep 0.02; done',
    ]);
    const elsewhere = await startElsewhere(t, options, spec);
    await killAndWait(elsewhere.child);
    const engine = await createEngine(options);
    t.after(() => engine.close());
    const [container] = await engine.adopt();
    assert.ok(container !== undefined);
    container.signal('SIGTERM');
    assert.deepEqual(await container.exited, { code: 6, oomKilled: false });
    await container.remove();
    assert.deepEqual(readdirSync(join(options.stateDir, 'exits')).length, 2);
  });

  test('closed with keepContainers, containers live on and the next engine has them', async (t) => {
    const { folder, layer } = makeFolder(t);
    const options = engineOptions(folder);
    const first = await createEngine(options);
    t.after(() => first.close());
    const started = await first.start(makeSpec(layer, ['sleep', '60'], { network: 'bridge' }));
    const { pid } = started;
    const startTime = processStartTime(pid);
    await first.close({ keepContainers: true });
    process.kill(pid, 0);
    const second = await createEngine(options);
    t.after(() => second.close());
    const [container] = await second.adopt();
    assert.equal(container?.pid, pid);
    await second.close();
    assert.equal(isSameProcess(pid, startTime), false);
    assert.deepEqual(traces(options), []);
  });

  test('a launcher that dies is replaced, and its containers’ ends are still seen', async (t) => {
    const { folder, layer } = makeFolder(t);
    const options = engineOptions(folder);
    const engine = await createEngine(options);
    t.after(() => engine.close());
    const container = await engine.start(makeSpec(layer, ['sleep', '60']));
    process.kill(parentOf(parentOf(container.pid)), 'SIGKILL');
    const next = await startAgain(engine, makeSpec(layer, ['true']));
    assert.equal((await next.exited).code, 0);
    assert.equal((await container.kill()).code, undefined);
    await engine.close();
    assert.deepEqual(traces(options), []);
  });
});
