import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import {
  cgroupsOf,
  commandOf,
  descriptorsOf,
  filesUnder,
  linksOf,
  loopsUnder,
  mountsUnder,
  netnsOf,
  processesIn,
  processesOf,
  tablesOf,
} from './machine.ts';

/** What a ledger counts. Names, so that tests beside it do not disturb. */
export interface LedgerScope {
  /** Names of container engines: cgroups, network namespaces, links, firewall tables, processes. */
  engines?: readonly string[];
  /** Mounts and loop devices at or below these. */
  folders?: readonly string[];
  /** Every file below these. */
  files?: readonly string[];
  /** Processes with one of these words among their arguments or in their environment. */
  markers?: readonly string[];
  /** Open descriptors of these processes. */
  pids?: readonly number[];
  /** Lines that come and go by themselves. */
  except?: RegExp;
}

const SETTLE_MS = 30_000;
const LOOK_MS = 100;

/** All there is, one thing a line, in order. */
export function takeStock(scope: LedgerScope): string[] {
  const { engines = [], folders = [], files = [], markers = [], pids = [] } = scope;
  const say = (what: string, names: readonly (string | number)[]): string[] =>
    names.map((name) => `${what} ${name}`);
  const found = [
    ...engines.flatMap((engine) => [
      ...say('cgroup', cgroupsOf(engine)),
      ...say('network namespace', netnsOf(engine)),
      ...say('link', linksOf(engine)),
      ...say('table', tablesOf(engine)),
      ...processesIn(engine).map((pid) => `process ${pid} ${commandOf(pid)}`),
    ]),
    ...folders.flatMap((folder) => say('mount', mountsUnder(folder))),
    ...folders.flatMap((folder) => say('loop device', loopsUnder(folder))),
    ...files.flatMap((folder) => say('file', filesUnder(folder))),
    ...markers.flatMap(processesOf).map((pid) => `process ${pid} ${commandOf(pid)}`),
    ...pids.flatMap((pid) => say(`descriptors of ${pid}:`, descriptorsOf(pid))),
  ];
  return [...new Set(found)].filter((line) => scope.except?.test(line) !== true).sort();
}

/** What a test found on the machine, to be found again when it is over. */
export class Ledger {
  readonly #scope: LedgerScope;
  #before: readonly string[];

  /** Takes stock now. */
  constructor(scope: LedgerScope) {
    this.#scope = scope;
    this.#before = takeStock(scope);
  }

  /** Takes stock again: what is here now is to be here later. */
  before(): void {
    this.#before = takeStock(this.#scope);
  }

  /** What was lost (`-`) and what was left (`+`) since. */
  difference(): string[] {
    const now = takeStock(this.#scope);
    const had = new Set(this.#before);
    const has = new Set(now);
    return [
      ...this.#before.filter((line) => !has.has(line)).map((line) => `- ${line}`),
      ...now.filter((line) => !had.has(line)).map((line) => `+ ${line}`),
    ];
  }

  /** The kernel takes some things away behind everybody's back: within 30 s nothing may differ. */
  async assertBalanced(settleMs: number = SETTLE_MS): Promise<void> {
    const endMs = performance.now() + settleMs;
    let difference = this.difference();
    while (difference.length > 0 && performance.now() < endMs) {
      await delay(LOOK_MS);
      difference = this.difference();
    }
    assert.deepEqual(difference, [], 'the ledger does not balance');
  }
}
