import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Container } from '../engine-types.ts';
import { type EngineWorld, says } from './engine-world.ts';
import { othersShare, readCpu } from './machine-cpu.ts';

const PROBE = fileURLToPath(new URL('./neighbour-probe.js', import.meta.url));
/** Runs the instrument before everything else, so that what it waits for is the neighbour. */
const CHRT = '/usr/bin/chrt';
const PORT = 8080;
const RATIO_MAX = 2;
const ROUNDS_MAX = 3;
/** Of the machine's time, taken by what is no part of the test: more, and it measures that. */
const OTHERS_SHARE_MAX = 0.1;
/** An answer takes 5 ms of waiting; a machine on which it takes this without any attack is too slow. */
const BEFORE_MS_MAX = 15;

interface Answer {
  atMs: number;
  ms: number;
  fault?: string;
}

/** What a neighbour went through. */
interface Window {
  count: number;
  p99Ms: number;
  faults: string[];
  othersShare: number;
}

/** Whether the neighbour was served as well as promised; `skip` says why nobody can know. */
interface Verdict {
  rounds: string;
  isServed: boolean;
  skip?: string;
}

/**
 * A container that serves 50 requests a second while another one attacks the machine. It has the
 * limits of any other.
 */
export class Neighbour {
  readonly #engine: string;
  readonly #container: Container;
  readonly #probe: ChildProcess;
  readonly #answers: Answer[] = [];

  private constructor(engine: string, container: Container, probe: ChildProcess) {
    this.#engine = engine;
    this.#container = container;
    this.#probe = probe;
    probe.on('message', (answer: Answer) => this.#answers.push(answer));
  }

  static async start(world: EngineWorld): Promise<Neighbour> {
    const spec = world.spec(['/bin/attack', 'serve', String(PORT)], { network: 'bridge' });
    const container = await world.engine.start(spec);
    await says(container, /serve/);
    const first = existsSync(CHRT)
      ? { execPath: CHRT, execArgv: ['-f', '1', process.execPath] }
      : {};
    const probe = fork(PROBE, [container.address ?? '', String(PORT)], first);
    const neighbour = new Neighbour(world.options.name, container, probe);
    await neighbour.#until(() => neighbour.#answers.length > 0);
    return neighbour;
  }

  /**
   * Its p99 while `attack` goes on is to be at most twice that before, and nothing may fail. Both are
   * measured here. The best of three rounds counts; a round in which others had the machine does not.
   */
  async servedWhile(attack: () => Promise<void>, beforeMs: number): Promise<Verdict> {
    const rounds: string[] = [];
    let judged = 0;
    for (let round = 1; round <= ROUNDS_MAX; round++) {
      const before = await this.#window(() => sleep(beforeMs));
      const during = await this.#window(attack);
      rounds.push(`${shown(before)} before, ${shown(during)} during`);
      const share = Math.max(before.othersShare, during.othersShare);
      const isQuiet = share <= OTHERS_SHARE_MAX && before.p99Ms <= BEFORE_MS_MAX;
      if (isQuiet) assert.deepEqual([...before.faults, ...during.faults], []);
      if (isQuiet) judged += 1;
      // Nothing is learned from trying again on a machine that others have
      else if (judged === 0) break;
      if (isQuiet && during.p99Ms <= before.p99Ms * RATIO_MAX) {
        return { rounds: rounds.join('; '), isServed: true };
      }
    }
    const skip = `others use this machine, or it is emulated: ${rounds.join('; ')}`;
    return { rounds: rounds.join('; '), isServed: false, ...(judged === 0 ? { skip } : {}) };
  }

  async close(): Promise<void> {
    this.#probe.disconnect();
    if (this.#probe.exitCode === null) await once(this.#probe, 'exit');
    await this.#container.kill();
    await this.#container.remove();
  }

  async #window(act: () => Promise<void>): Promise<Window> {
    const from = readCpu(this.#engine);
    const fromMs = Date.now();
    await act();
    const toMs = Date.now();
    const share = othersShare(from, readCpu(this.#engine));
    // What was asked last has been answered once a later one is
    await this.#until(() => (this.#answers.at(-1)?.atMs ?? 0) > toMs);
    const answers = this.#answers.splice(0).filter(({ atMs }) => atMs >= fromMs && atMs <= toMs);
    const sorted = answers.map(({ ms }) => ms).sort((a, b) => a - b);
    return {
      count: answers.length,
      p99Ms: sorted[Math.floor((sorted.length - 1) * 0.99)] ?? Number.POSITIVE_INFINITY,
      faults: answers.flatMap(({ fault }) => fault ?? []),
      othersShare: share,
    };
  }

  async #until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      assert.equal(this.#probe.exitCode, null, 'the probe has ended');
      await sleep(10);
    }
  }
}

function shown({ count, faults, othersShare: share, p99Ms }: Window): string {
  const failed = faults.length === 0 ? '' : `, ${faults.length} failed`;
  return `p99 ${p99Ms.toFixed(2)} ms of ${count}${failed} (others ${Math.round(share * 100)} %)`;
}
