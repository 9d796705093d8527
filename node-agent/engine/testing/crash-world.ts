import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { Ledger } from '../../../lib/testing/ledger.ts';
import { processesOf } from '../../../lib/testing/machine.ts';
import type { ContainerSpec } from '../container-spec.ts';
import type { EngineOptions } from '../engine-types.ts';
import type { FailpointName } from '../failpoint-names.ts';
import { isSameProcess, processStartTime } from '../kernel/process-identity.ts';
import { makeBusyboxLayer } from './busybox-layer.ts';
import { startAgain, walk } from './crash-walk.ts';
import { engineOptions, engineScope, makeSpec } from './engine-world.ts';
import { type RemoteContainer, RemoteEngine } from './remote-engine.ts';

/** How long the next process of an engine may take to have what lives, and nothing else. */
const ADOPT_MS_MAX = 2_000;
/** On a machine that is busy with other things: so many times what an engine without any work takes. */
const ADOPT_TIMES_MAX = 5;
const STEP_MS = 60_000;
const READERS_TRIES_MAX = 200;
/** A named network that stays. */
const NETWORK = 'walk';

type Running = RemoteContainer & { startTime: string };

/**
 * Two containers that run, one that serves and one that prints, whose engine has ended; and what
 * the machine holds of them. Engine processes come, are killed in the middle of work on a third
 * container, and go.
 */
export class CrashWorld {
  readonly folder: string;
  /** Nothing is made ahead, so that all there is belongs to containers. */
  readonly options: EngineOptions;
  readonly #layer: string;
  readonly #start: Ledger;
  readonly #withTwo: Ledger;
  #running: Running[] = [];
  #count = 0;

  private constructor() {
    this.folder = mkdtempSync(join(tmpdir(), 'hearth-crash-'));
    this.#layer = makeBusyboxLayer(join(this.folder, 'layer'));
    this.options = { ...engineOptions(this.folder), blanks: 0, networkSlots: 0 };
    const scope = engineScope(this.options);
    this.#start = new Ledger(scope);
    const files = [this.options.stateDir, join(this.folder, 'sockets'), join(this.folder, 'build')];
    for (const path of files) mkdirSync(path, { recursive: true });
    // The drainer is another one after each engine, and keeps what is printed
    const except = /\.spill$|dropped\.json$/;
    this.#withTwo = new Ledger({ ...scope, files, markers: [], except });
  }

  static async make(): Promise<CrashWorld> {
    const world = new CrashWorld();
    try {
      await world.#begin();
      return world;
    } catch (error) {
      rmSync(world.folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** A new engine process; `failpoints` as `HEARTH_FAILPOINTS` has them. */
  engine(failpoints = '', more: Partial<EngineOptions> = {}): RemoteEngine {
    return new RemoteEngine(
      { ...this.options, ...more },
      {
        env: { HEARTH_FAILPOINTS: failpoints },
      },
    );
  }

  /** A container that has everything an engine makes on the host for one. */
  spec(argv: readonly string[] = ['sleep', '600']): ContainerSpec {
    this.#count += 1;
    const name = `third-${this.#count}`;
    return makeSpec(this.#layer, argv, {
      id: name,
      network: NETWORK,
      egress: [{ cidr: '10.254.0.0/24' }],
      ports: [{ hostAddress: '127.0.0.1', hostPort: 0, containerPort: 80, protocol: 'tcp' }],
      listenPath: join(this.folder, 'sockets', `${name}.sock`),
      statusPipe: true,
      upperDir: join(this.folder, 'build', 'upper'),
    });
  }

  /** The engine's process dies at the point. @throws AssertionError if it never comes there */
  async dieAt(point: FailpointName, more: Partial<EngineOptions> = {}): Promise<void> {
    const engine = this.engine(`${point}=kill`, more);
    const walked = walk(this, engine, point).catch(() => {});
    await Promise.race([engine.ended, walked, delay(STEP_MS, undefined, { ref: false })]);
    await engine.crash();
    assert.match(engine.log, new RegExp(`failpoint ${point}: kill`));
    this.#assertTwoLive();
  }

  /** The launcher dies at the point; the engine goes on with another one. */
  async loseLauncherAt(point: FailpointName): Promise<void> {
    const engine = this.engine(`${point}=kill`);
    try {
      await Promise.race([walk(this, engine, point).catch(() => {}), engine.ended]);
      this.#assertTwoLive();
      assert.match(engine.log, new RegExp(`failpoint ${point}: kill`));
      // One that never had a launcher is no engine; its supervisor begins again
      if (engine.child.exitCode !== null) return;
      const { id } = await startAgain(engine, () => this.spec());
      await engine.remove(id);
      await engine.close({ keepContainers: true });
    } finally {
      await engine.crash();
    }
  }

  /** A process of the container dies before the step: its start fails, and nothing else does. */
  async loseChildAt(point: FailpointName): Promise<void> {
    const engine = this.engine(`${point}=kill`);
    try {
      await engine.adopt();
      await assert.rejects(engine.start(this.spec()), /cannot start: /);
      this.#assertTwoLive();
      await engine.close({ keepContainers: true });
    } finally {
      await engine.crash();
    }
  }

  /**
   * A new process has the two again within 2 s, and nothing of anything else is left. Answers how
   * long it took since that process began.
   */
  async recover(): Promise<number> {
    const engine = this.engine();
    try {
      const { adopted, afterMs } = await engine.adopt();
      const ids = (all: readonly RemoteContainer[]) =>
        all.map(({ id, pid, address }) => [id, pid, address]).sort();
      const thirds = adopted.filter(({ id }) => id.startsWith('third-'));
      const two = adopted.filter((one) => !thirds.includes(one));
      assert.deepEqual(ids(two), ids(this.#running));
      if (afterMs > ADOPT_MS_MAX) await this.#assertBusy(afterMs);
      // One whose start was over, or whose stop had not begun, is as good as the two
      for (const { id } of thirds) await engine.remove(id);
      for (const name of await engine.volumes()) await engine.removeVolume(name);
      const networks = (await engine.networks()).filter(({ name }) => name !== NETWORK);
      for (const { name } of networks) await engine.removeNetwork(name);
      await this.#assertTwoServe(engine);
      await engine.close({ keepContainers: true });
      await this.assertBalanced();
      return afterMs;
    } finally {
      await engine.crash();
    }
  }

  /** Nothing is here but the two, without an engine. */
  async assertBalanced(): Promise<void> {
    // It is the caller's; the engine leaves it as it is
    rmSync(join(this.folder, 'build', 'upper'), { recursive: true, force: true });
    await this.#withTwo.assertBalanced();
    const readers = (): number[] => processesOf(`--engine=${this.options.name}`);
    // A launcher that lost its engine at the same time tries for a second
    for (let tries = 1; readers().length > 1 && tries < READERS_TRIES_MAX; tries++) await delay(50);
    assert.equal(readers().length, 1, `one process reads what the two say: ${readers()}`);
  }

  /** Ends the two; nothing may be left of all that happened. */
  async close(): Promise<void> {
    const engine = this.engine();
    try {
      const { adopted } = await engine.adopt();
      for (const { id } of adopted) await engine.remove(id);
      await engine.removeNetwork(NETWORK);
      await engine.close({ keepContainers: false });
      await this.#start.assertBalanced();
    } finally {
      await engine.crash();
      rmSync(this.folder, { recursive: true, force: true });
    }
  }

  async #begin(): Promise<void> {
    const engine = this.engine();
    try {
      await engine.adopt();
      await engine.createNetwork({ name: NETWORK });
      const httpd = ['/bin/busybox', 'httpd', '-f', '-p', '80', '-h', '/bin'];
      const serving = makeSpec(this.#layer, httpd, { id: 'serving', network: 'bridge' });
      // Without a child, so that its processes are the same whenever stock is taken
      const wait = 'read -t 0.05 x <&5';
      const script = `busybox mkfifo /f; exec 5<>/f; while :; do echo line 1; ${wait}; done`;
      const printing = makeSpec(this.#layer, ['sh', '-c', script], { id: 'printing' });
      for (const spec of [serving, printing]) {
        const container = await engine.start(spec);
        this.#running.push({ ...container, startTime: processStartTime(container.pid) });
      }
      await this.#assertTwoServe(engine);
      await engine.close({ keepContainers: true });
      this.#withTwo.before();
    } finally {
      await engine.crash();
    }
  }

  /** A process that took too long did so because every engine does, now. */
  async #assertBusy(afterMs: number): Promise<void> {
    // Beside the world's own: another name, another network
    const idleOptions = {
      name: `i${this.options.name.slice(1)}`,
      stateDir: join(this.folder, 'idle'),
      subnet: this.options.subnet.replace(/^10\.(\d+)\.\d+\./, '10.98.$1.'),
    };
    const engine = this.engine('', idleOptions);
    const idle = await engine.adopt();
    await engine.close({ keepContainers: false });
    const text = `adopted after ${Math.round(afterMs)} ms; nothing, after ${Math.round(idle.afterMs)}`;
    assert.ok(afterMs <= idle.afterMs * ADOPT_TIMES_MAX, text);
  }

  #assertTwoLive(): void {
    for (const { id, pid, startTime } of this.#running) {
      assert.ok(isSameProcess(pid, startTime), `${id} runs no more`);
    }
  }

  async #assertTwoServe(engine: RemoteEngine): Promise<void> {
    this.#assertTwoLive();
    const address = this.#running.find(({ id }) => id === 'serving')?.address ?? '';
    assert.match(await get(address, '/nothing-there'), /^HTTP\/1\.\d 404/);
    for (let tries = 1; !/line \d/.test(await engine.output('printing')); tries++) {
      assert.ok(tries < 100, 'nothing printed');
      await delay(20);
    }
  }
}

async function get(host: string, path: string): Promise<string> {
  for (let tries = 1; ; tries++) {
    try {
      const socket = connect({ host, port: 80 });
      await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
      socket.end(`GET ${path} HTTP/1.0\r\n\r\n`);
      return await text(socket);
    } catch (error) {
      if (tries === 50) throw error;
      await delay(20);
    }
  }
}
