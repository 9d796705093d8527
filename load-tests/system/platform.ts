import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { errnoCode } from '../../lib/errors.ts';
import type { FunctionDescription, FunctionSummary } from '../../lib/management-api.ts';
import { packageRoot } from '../../lib/paths.ts';
import { spawnBound } from '../../lib/testing/bound.ts';
import { call } from './call.ts';
import { leftovers } from './ledger.ts';

/** The compiled CLI that belongs to this compiled file. */
export const CLI = join(import.meta.dirname, '../../cli/main.js');
const WAIT_MS_MAX = 30_000;
const POLL_MS = 25;

/** Why no platform can run on this machine; false when one can. */
export function whyNotHere(...programs: string[]): string | false {
  if (process.getuid?.() !== 0) return 'needs root';
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  const missing = ['redis-server', 'nft', 'ip', ...programs].filter(
    (name) => !folders.some((folder) => existsSync(join(folder, name))),
  );
  return missing.length === 0 ? false : `needs ${missing.join(', ')}`;
}

/** Networks and users of one node's containers. */
export interface Place {
  subnet: string;
  uidBase: number;
}

const PLACES = { first: 201, count: 9, uidBase: 0x2000_0000, uids: 0x0800_0000 } as const;

/** A place that no other platform of this machine uses. */
export function takePlace(): Place {
  const addresses = Object.values(networkInterfaces()).flatMap((links) => links ?? []);
  const from = process.pid % PLACES.count;
  for (let tried = 0; tried < PLACES.count; tried++) {
    const number = (from + tried) % PLACES.count;
    const net = `10.${PLACES.first + number}.`;
    if (addresses.some(({ address }) => address.startsWith(net)) || taken.has(number)) continue;
    taken.add(number);
    return { subnet: `${net}0.0/16`, uidBase: PLACES.uidBase + number * PLACES.uids };
  }
  throw new Error('all networks for tests are in use');
}

const taken = new Set<number>();

/** What one run of the CLI printed and how it ended. */
export interface Ran {
  /** Exit code; null when a signal ended it. */
  exit: number | null;
  out: string;
  err: string;
}

/** How to run the CLI besides its arguments. */
export interface RunOptions {
  cwd?: string;
  env?: Record<string, string>;
  input?: string;
  onStart?(child: ChildProcess): void;
}

/** One platform as a user starts it: `hearth up` on a data root, ports and networks of its own. */
export class Platform {
  readonly folder = mkdtempSync('/var/tmp/hs-');
  readonly dataRoot = join(this.folder, 'root');
  /** TMPDIR of all its processes. */
  readonly temporary = join(this.folder, 'tmp');
  readonly place = takePlace();
  /** All that `hearth up` has said, by line. */
  readonly said: string[] = [];
  readonly #settings: Readonly<Record<string, string>>;
  #child: ChildProcess | undefined;

  /** `settings` are `HEARTH_*` variables of its daemons. */
  constructor(settings: Readonly<Record<string, string>> = {}) {
    this.#settings = settings;
    // Passed by daemons that are not root.
    chmodSync(this.folder, 0o711);
    mkdirSync(this.temporary, { mode: 0o1777 });
  }

  /** Spawns `hearth up` and does not wait. */
  spawnUp(): ChildProcess {
    const { subnet, uidBase } = this.place;
    const args = ['up', '--port', '0', '--subnet', subnet, '--uid-base', String(uidBase)];
    const child = spawnBound(process.execPath, [CLI, ...args], {
      cwd: packageRoot,
      env: { ...this.#env(), ...this.#settings },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#child = child;
    createInterface({ input: child.stderr as Readable }).on('line', (line) => this.said.push(line));
    return child;
  }

  /** Starts it and waits until it is ready. */
  async up(): Promise<this> {
    const from = this.said.length;
    const child = this.spawnUp();
    await until(
      () => {
        assert.equal(child.exitCode, null, this.said.join('\n'));
        return this.said.slice(from).some((line) => line.startsWith('ready in'));
      },
      () => `hearth up: ${this.said.join('\n')}`,
    );
    return this;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Base URL of the gateway. */
  get url(): string {
    const file = readFileSync(join(this.dataRoot, 'run/gateway.json'), 'utf8');
    return (JSON.parse(file) as { url: string }).url;
  }

  /** Where `hearth up` says that a component listens: `host:port`, or a path below the data root. */
  addressesOf(component: string): string[] {
    const row = this.said.findLast((line) => line.startsWith(`${component} `)) ?? '';
    return row.split(/\s+/).filter((word) => /^127\.0\.0\.1:\d+$|\.sock$/.test(word));
  }

  /** URL of a function. */
  at(name: string, rest = ''): string {
    return `${this.url}/function/${name}${rest}`;
  }

  /** Text of a secret, `token` or `cluster-token`. */
  secret(name: string): string {
    return readFileSync(join(this.dataRoot, name), 'utf8').trim();
  }

  /** Pid of a component now. */
  pidOf(component: string): number {
    const file = readFileSync(join(this.dataRoot, 'run', `${component}.pid`), 'utf8');
    return (JSON.parse(file) as { pid: number }).pid;
  }

  /** Runs `hearth …` without a terminal, as in a script. */
  async hearth(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
    const child = spawn(process.execPath, [CLI, ...args], {
      cwd: options.cwd ?? packageRoot,
      env: { ...this.#env(), ...options.env },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input ?? '');
    options.onStart?.(child);
    const closed = new Promise<number | null>((resolve) => child.on('close', resolve));
    const [out, err] = await Promise.all([readAll(child.stdout), readAll(child.stderr)]);
    return { exit: await closed, out, err };
  }

  /** Runs `hearth …` on a terminal of its own (script(1)), on which `type` is typed once it shows `after`. */
  async onTerminal(
    args: readonly string[],
    { after, type }: { after: string; type: string },
  ): Promise<Ran> {
    const words = [process.execPath, CLI, ...args];
    const line = words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ');
    const child = spawn('script', ['-qefc', line, '/dev/null'], {
      cwd: packageRoot,
      env: this.#env(),
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    child.stdin.on('error', () => undefined);
    const closed = new Promise<number | null>((resolve) => child.on('close', resolve));
    let out = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      const hadShown = out.includes(after);
      out += chunk;
      if (!hadShown && out.includes(after)) child.stdin.write(type);
    });
    const err = await readAll(child.stderr);
    return { exit: await closed, out, err };
  }

  /** Standard output of a run that must end well. */
  async well(...args: string[]): Promise<string> {
    const ran = await this.hearth(args);
    assert.equal(ran.exit, 0, `hearth ${args.join(' ')}\n${ran.out}${ran.err}`);
    return ran.out;
  }

  /** What `GET /v1/functions` says. */
  async list(): Promise<FunctionSummary[]> {
    return (await this.#get<{ functions: FunctionSummary[] }>('/v1/functions')).functions;
  }

  /** What `GET /v1/functions/NAME` says. */
  describe(name: string): Promise<FunctionDescription> {
    return this.#get<FunctionDescription>(`/v1/functions/${name}`);
  }

  async #get<T>(path: string): Promise<T> {
    const headers = { authorization: `Bearer ${this.secret('token')}` };
    const { status, body } = await call(this.url + path, { headers });
    assert.equal(status, 200, body);
    return JSON.parse(body) as T;
  }

  /** Waits until the function has no instance. */
  async untilZero(name: string): Promise<void> {
    await until(
      async () => (await this.describe(name)).instances.length === 0,
      () => `${name} still has instances`,
    );
  }

  /** Ctrl-C; resolves with the exit code once it has ended. */
  async stop(signal: NodeJS.Signals = 'SIGINT'): Promise<number | null> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined) return null;
    if (child.exitCode === null && child.signalCode === null) {
      const closed = once(child, 'close');
      child.kill(signal);
      await closed;
    }
    return child.exitCode;
  }

  /** Stops it, asserts that it ended well, that nothing is left of it, and removes its folder. */
  async end(exit = 0): Promise<void> {
    const code = await this.stop();
    const left = leftovers(this.dataRoot, this.temporary);
    const log = this.said.join('\n');
    rmSync(this.folder, { recursive: true, force: true });
    assert.deepEqual(left, [], log);
    if (code !== null) assert.equal(code, exit, log);
  }

  /** Nothing of the caller's environment is passed on but the way to programs. */
  #env(): Record<string, string> {
    return {
      PATH: process.env.PATH ?? '',
      TMPDIR: this.temporary,
      HEARTH_DATA_ROOT: this.dataRoot,
    };
  }
}

/** What came through a pipe until its end, or until it was closed on our side. */
async function readAll(stream: Readable): Promise<string> {
  let read = '';
  try {
    for await (const chunk of stream.setEncoding('utf8')) read += chunk;
  } catch (error) {
    if (errnoCode(error) !== 'ERR_STREAM_PREMATURE_CLOSE') throw error;
  }
  return read;
}

/** Waits until `probe` says true. The bound only ends a test that would wait for ever. */
export async function until(
  probe: () => boolean | Promise<boolean>,
  what: () => string,
): Promise<void> {
  for (let waitedMs = 0; !(await probe()); waitedMs += POLL_MS) {
    if (waitedMs > WAIT_MS_MAX) throw new Error(`waited in vain: ${what()}`);
    await delay(POLL_MS);
  }
}
