import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { ContainerSpec, ExitStatus, PublishedPort } from '../container-spec.ts';
import type { EngineOptions } from '../engine-types.ts';
import type { ExecExit } from '../exec/exec-types.ts';
import type { NetworkInfo, NetworkRequest } from '../network/network-types.ts';

const PROGRAM = fileURLToPath(new URL('./remote-engine-process.js', import.meta.url));

const SAID_MAX = 16_384;

/** A container of a remote engine. */
export interface RemoteContainer {
  id: string;
  pid: number;
  address?: string;
  ports: readonly PublishedPort[];
}

/** Where the engine's process lives. */
export interface RemotePlace {
  env?: Readonly<Record<string, string>>;
  /** Path of a network namespace, which is the whole host's network to it. */
  netns?: string;
}

/** An engine's error that came over, or that its process ended. */
export class RemoteError extends Error {
  readonly code: string | undefined;

  constructor(message: string, code?: string) {
    super(message);
    this.code = code;
  }
}

type Waiting = { resolve: (value: unknown) => void; reject: (error: Error) => void };

/** An engine in a process of its own: what a test does to an engine that it means to kill. */
export class RemoteEngine {
  readonly child: ChildProcess;
  /** How the process ended. */
  readonly ended: Promise<{ code: number | null; signal: string | null }>;
  /** Rejects when the engine could not be made. */
  readonly ready: Promise<void>;
  readonly #waiting = new Map<number, Waiting>();
  #n = 0;
  #said = '';

  constructor(options: EngineOptions, place: RemotePlace = {}) {
    const { log: _, ...plain } = options;
    const command = [process.execPath, PROGRAM, JSON.stringify(plain)];
    const enter = place.netns === undefined ? [] : ['nsenter', `--net=${place.netns}`];
    const [program = '', ...args] = [...enter, ...command];
    this.child = spawn(program, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...place.env },
    });
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#said = (this.#said + text).slice(-SAID_MAX);
    });
    // The other end may be gone by now, which `ended` tells
    this.child.stdin?.on('error', () => {});
    this.ended = new Promise((resolve) => {
      this.child.once('close', (code, signal) => {
        for (const { reject } of this.#waiting.values()) {
          reject(new RemoteError(`engine process ended: ${code ?? signal} ${this.#said}`));
        }
        this.#waiting.clear();
        resolve({ code, signal });
      });
    });
    this.ready = this.#answer(0) as Promise<void>;
    this.ready.catch(() => {});
    if (this.child.stdout === null) throw new Error('no stdout');
    createInterface({ input: this.child.stdout }).on('line', (line) => this.#hear(line));
  }

  /** The end of its log: warnings, and the failpoints it came to. */
  get log(): string {
    return this.#said;
  }

  async adopt(): Promise<{ adopted: RemoteContainer[]; afterMs: number }> {
    return (await this.#call('adopt')) as { adopted: RemoteContainer[]; afterMs: number };
  }

  async start(spec: ContainerSpec): Promise<RemoteContainer> {
    return (await this.#call('start', spec)) as RemoteContainer;
  }

  async createNetwork(request: NetworkRequest): Promise<NetworkInfo> {
    return (await this.#call('createNetwork', request)) as NetworkInfo;
  }

  async networks(): Promise<NetworkInfo[]> {
    return (await this.#call('networks')) as NetworkInfo[];
  }

  async removeNetwork(name: string): Promise<void> {
    await this.#call('removeNetwork', name);
  }

  /** All it said so far. */
  async output(id: string): Promise<string> {
    return (await this.#call('output', id)) as string;
  }

  /** Bytes it said while no engine was there, and that nobody kept. */
  async missed(id: string): Promise<number> {
    return (await this.#call('missed', id)) as number;
  }

  async exec(id: string, argv: readonly string[]): Promise<ExecExit> {
    return (await this.#call('exec', id, argv)) as ExecExit;
  }

  async createVolume(name: string): Promise<void> {
    await this.#call('createVolume', name);
  }

  async removeVolume(name: string): Promise<void> {
    await this.#call('removeVolume', name);
  }

  async volumes(): Promise<string[]> {
    return (await this.#call('volumes')) as string[];
  }

  async kill(id: string): Promise<ExitStatus> {
    return (await this.#call('kill', id)) as ExitStatus;
  }

  async exited(id: string): Promise<ExitStatus> {
    return (await this.#call('exited', id)) as ExitStatus;
  }

  async remove(id: string): Promise<void> {
    await this.#call('remove', id);
  }

  /** Closes the engine and ends its process. */
  async close(options: { keepContainers: boolean }): Promise<void> {
    await this.#call('close', options.keepContainers);
    await this.ended;
  }

  /** `kill -9`. */
  async crash(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.ended;
  }

  async #call(name: string, ...args: unknown[]): Promise<unknown> {
    await this.ready;
    this.#n += 1;
    const answer = this.#answer(this.#n);
    this.child.stdin?.write(`${JSON.stringify({ n: this.#n, name, args })}\n`);
    return await answer;
  }

  #answer(n: number): Promise<unknown> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) {
      return Promise.reject(new RemoteError('engine process ended'));
    }
    return new Promise((resolve, reject) => {
      this.#waiting.set(n, { resolve, reject });
    });
  }

  #hear(line: string): void {
    const { n, value, error } = JSON.parse(line);
    const waiting = this.#waiting.get(n);
    this.#waiting.delete(n);
    if (error === undefined) waiting?.resolve(value);
    else waiting?.reject(new RemoteError(error.message, error.code));
  }
}
