import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import { HearthError } from '../../lib/errors.ts';
import type { ContainerSpec, ExitStatus } from '../engine/container-spec.ts';
import type { ContainerStats } from '../engine/container-stats.ts';
import type { Container, Engine, Volumes } from '../engine/engine-types.ts';
import type { Networks } from '../engine/network/network-types.ts';

/** Environment variable with the path on which a test's guest shall listen. */
export const LISTEN_PATH = 'TEST_LISTEN_PATH';

/**
 * An engine without a kernel's help: plain processes on the host, for tests of everything above
 * the engine on machines without root. The guest makes its socket itself, at `TEST_LISTEN_PATH`,
 * and says its status on fd 4.
 */
export class ProcessEngine implements Engine {
  readonly containers = new Map<string, ProcessContainer>();
  readonly networks: Networks = {
    create: async () => refuse('networks'),
    list: () => [],
    get: () => undefined,
    remove: async () => refuse('networks'),
  };
  readonly volumes: Volumes = {
    create: () => refuse('volumes'),
    list: () => [],
    get: () => undefined,
    remove: async () => refuse('volumes'),
  };

  async start(spec: ContainerSpec): Promise<Container> {
    const container = new ProcessContainer(spec, () => this.containers.delete(spec.id));
    this.containers.set(spec.id, container);
    return container;
  }

  async adopt(): Promise<Container[]> {
    return [];
  }

  get(id: string): Container | undefined {
    return this.containers.get(id);
  }

  async close(): Promise<void> {
    await Promise.all([...this.containers.values()].map((container) => container.kill()));
  }
}

class ProcessContainer implements Container {
  readonly id: string;
  readonly spec: ContainerSpec;
  readonly address = '127.0.0.1';
  readonly ports = [];
  readonly timings = { queueMs: 0, spawnMs: 1 };
  readonly status: Promise<string | undefined>;
  readonly exited: Promise<ExitStatus>;
  readonly #child: ChildProcess;
  readonly #onRemove: () => void;
  #paused = false;

  constructor(spec: ContainerSpec, onRemove: () => void) {
    this.id = spec.id;
    this.spec = spec;
    this.#onRemove = onRemove;
    const [program = '', ...args] = spec.argv;
    const env = Object.fromEntries(spec.env.map((pair) => pair.split(/=(.*)/s, 2)));
    this.#child = spawn(program, args, {
      env: { ...env, [LISTEN_PATH]: spec.listenPath ?? '', HEARTH_STATUS_FD: '4' },
      stdio: ['ignore', 'pipe', 'pipe', 'ignore', 'pipe'],
    });
    this.status = firstLine(this.#child);
    this.exited = new Promise((resolve) => {
      this.#child.once('close', (code, signal) => resolve(exitOf(code, signal)));
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  onOutput(listener: (stream: 'stdout' | 'stderr', chunk: Buffer) => void): void {
    this.#child.stdout?.on('data', (chunk: Buffer) => listener('stdout', chunk));
    this.#child.stderr?.on('data', (chunk: Buffer) => listener('stderr', chunk));
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async kill(): Promise<ExitStatus> {
    this.#child.kill('SIGKILL');
    return await this.exited;
  }

  async remove(): Promise<void> {
    this.#onRemove();
  }

  exec(): Promise<never> {
    return unsupported();
  }

  stat(): Promise<never> {
    return unsupported();
  }

  copyOut(): Promise<never> {
    return unsupported();
  }

  copyIn(): Promise<never> {
    return unsupported();
  }

  async memory(): Promise<{ currentBytes: number; peakBytes: number }> {
    return { currentBytes: 1, peakBytes: 2 };
  }

  async stats(): Promise<ContainerStats> {
    const { cpuMillis: limitMillis, memoryBytes: limitBytes, pids: limit } = this.spec.resources;
    const time = { usageNs: 3, userNs: 2, systemNs: 1, throttledPeriods: 0, throttledNs: 0 };
    const memory = { currentBytes: 1, peakBytes: 2, inactiveFileBytes: 0, oomKills: 0 };
    return {
      timeMs: Date.now(),
      cpu: { ...time, limitMillis },
      memory: { ...memory, limitBytes },
      pids: { current: 1, limit },
    };
  }

  get paused(): boolean {
    return this.#paused;
  }

  async pause(): Promise<void> {
    if (this.#paused) throw new HearthError('Conflict', `container "${this.id}" is paused already`);
    this.#paused = this.#child.kill('SIGSTOP');
  }

  async resume(): Promise<void> {
    if (!this.#paused) throw new HearthError('Conflict', `container "${this.id}" is not paused`);
    this.#paused = !this.#child.kill('SIGCONT');
  }
}

async function unsupported(): Promise<never> {
  throw new Error('plain processes have no insides');
}

function firstLine(child: ChildProcess): Promise<string | undefined> {
  return new Promise((resolve) => {
    let text = '';
    child.stdio[4]?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (text.includes('\n')) resolve(text.split('\n')[0]);
    });
    child.stdio[4]?.once('close', () => resolve(undefined));
  });
}

function exitOf(code: number | null, signal: NodeJS.Signals | null): ExitStatus {
  if (signal !== null) return { signal: constants.signals[signal], oomKilled: false };
  return { code: code ?? 0, oomKilled: false };
}

function refuse(what: string): never {
  throw new HearthError('KernelUnsupported', `plain processes have no ${what}`);
}
