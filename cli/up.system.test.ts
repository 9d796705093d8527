import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { packageRoot } from '../lib/paths.ts';
import { spawnBound } from '../lib/testing/bound.ts';
import { type Ran, runHearth } from './run-hearth.ts';
import { findCommand } from './up/redis.ts';

/** The whole platform as a user starts it: real daemons, containers, Redis. */

function mayRun(t: TestContext): boolean {
  const missing = ['redis-server', 'nft', 'ip'].filter((name) => findCommand(name) === undefined);
  if (process.getuid?.() !== 0) t.skip('needs root');
  else if (missing.length > 0) t.skip(`needs ${missing.join(', ')}`);
  else return true;
  return false;
}

interface Up {
  child: ChildProcess;
  /** All that it said until it was ready. */
  said: string[];
}

class Machine {
  readonly dataRoot = mkdtempSync('/var/tmp/hearth-system-');
  /** Of its own, as other platforms may run on this machine. */
  readonly #subnet = `10.${randomInt(100, 200)}.0.0/16`;
  readonly #children: ChildProcess[] = [];

  constructor(t: TestContext) {
    t.after(async () => {
      for (const child of this.#children) {
        child.kill('SIGTERM');
        if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      }
      assert.deepEqual(mountsUnder(this.dataRoot), []);
      rmSync(this.dataRoot, { recursive: true, force: true });
    });
  }

  async up(): Promise<Up> {
    const main = join(import.meta.dirname, 'main.js');
    const flags = ['--port', '0', '--subnet', this.#subnet, '--data-root', this.dataRoot];
    const child = spawnBound(process.execPath, [main, 'up', ...flags], {
      stdio: ['ignore', 'inherit', 'pipe'],
    });
    this.#children.push(child);
    const said: string[] = [];
    for await (const line of createInterface({ input: child.stderr as Readable })) {
      said.push(line);
      if (line.startsWith('ready in')) break;
    }
    assert.match(said.at(-1) ?? '', /^ready in .*http:\/\/127\.0\.0\.1:\d+$/, said.join('\n'));
    child.stderr?.resume();
    return { child, said };
  }

  run(...args: string[]): Promise<Ran> {
    return runHearth(args, {
      cwd: packageRoot,
      token: '',
      env: { HEARTH_DATA_ROOT: this.dataRoot },
    });
  }

  async runWell(...args: string[]): Promise<string> {
    const ran = await this.run(...args);
    assert.equal(ran.exit, 0, `${args.join(' ')}\n${ran.err}`);
    return ran.out;
  }
}

function mountsUnder(folder: string): string[] {
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  return lines.filter((line) => line.split(' ')[4]?.startsWith(`${folder}/`));
}

/** Processes that were started with this folder in their environment or arguments. */
function processesOf(folder: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      try {
        const texts = ['cmdline', 'environ'].map((file) => readFileSync(`/proc/${pid}/${file}`));
        return texts.some((text) => text.includes(folder));
      } catch {
        return false;
      }
    });
}

test('up, deploy, invoke, logs, describe, remove, Ctrl-C', async (t) => {
  if (!mayRun(t)) return;
  const machine = new Machine(t);
  const { child } = await machine.up();

  const url = (await machine.runWell('deploy', 'functions-examples/hello-node')).trim();
  assert.match(await machine.runWell('invoke', 'hello-node'), /Hello/);
  assert.equal((await fetch(url)).status, 200);
  assert.match(await machine.runWell('deploy', 'functions-examples/hello-node'), /\(unchanged, /);
  assert.match(await machine.runWell('list'), /^hello-node +ready +\d+ +hello-node-00001 /m);
  assert.match(await machine.runWell('describe', 'hello-node'), /^hello-node-00001 +100% +ready/m);
  await machine.runWell('logs', 'hello-node');
  await machine.runWell('doctor');

  await machine.runWell('remove', 'hello-node');
  const gone = await machine.run('invoke', 'hello-node');
  assert.equal(gone.exit, 3, gone.err);

  child.kill('SIGINT');
  const [code] = await once(child, 'exit');
  assert.equal(code, 0);
  assert.deepEqual(processesOf(machine.dataRoot), []);
  assert.deepEqual(mountsUnder(machine.dataRoot), []);
});

test('after kill -9 of the supervisor the next start takes over, and functions are still there', async (t) => {
  if (!mayRun(t)) return;
  const machine = new Machine(t);
  const first = await machine.up();
  await machine.runWell('deploy', 'functions-examples/hello-node');
  first.child.kill('SIGKILL');
  await once(first.child, 'exit');

  await machine.up();
  assert.match(await machine.runWell('invoke', 'hello-node'), /Hello/);
});

test('a second start on the same data root is refused', async (t) => {
  if (!mayRun(t)) return;
  const machine = new Machine(t);
  await machine.up();
  const second = await machine.run('up', '--port', '0');
  assert.equal(second.exit, 5);
  assert.match(second.err, /^error: hearth up already runs on /);
});

test('quickstart --once ends well and leaves nothing', async (t) => {
  if (!mayRun(t)) return;
  const before = new Set(readdirSync('/var/tmp'));
  const subnet = `10.${randomInt(100, 200)}.0.0/16`;
  const args = ['quickstart', '--once', '--port', '0', '--subnet', subnet];
  const ran = await runHearth(args, { token: '', env: { HEARTH_DATA_ROOT: '' } });
  assert.equal(ran.exit, 0, ran.err);
  assert.match(ran.out, /^answer +.*Hello/m);
  assert.match(ran.out, /^cold +\d.*\nwarm +\d/m);
  const left = readdirSync('/var/tmp').filter((name) => name.startsWith('hearth-quickstart-'));
  assert.deepEqual(
    left.filter((name) => !before.has(name)),
    [],
  );
});
