import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { silentLog } from '../../../lib/telemetry/log.ts';
import { Ledger, type LedgerScope } from '../../../lib/testing/ledger.ts';
import type { ContainerSpec, ExitStatus } from '../container-spec.ts';
import { createEngine } from '../engine.ts';
import type { Container, Engine, EngineOptions } from '../engine-types.ts';
import { makeBusyboxLayer } from './busybox-layer.ts';

/** An engine of a test's own, with an image and a folder that go with it. */
export interface EngineWorld {
  folder: string;
  layer: string;
  options: EngineOptions;
  engine: Engine;
  /** A spec that runs `argv` in the busybox image. */
  spec: (argv: readonly string[], more?: Partial<ContainerSpec>) => ContainerSpec;
  /** Starts, waits for the end, removes. */
  run: (argv: readonly string[], more?: Partial<ContainerSpec>) => Promise<Ran>;
  close: () => Promise<void>;
}

/** A container that has ended. */
export interface Ran extends ExitStatus {
  stdout: string;
  stderr: string;
}

let counter = 0;
let engines = 0;

/** Options that collide with no other test's on this machine. */
export function engineOptions(folder: string): EngineOptions {
  const number = process.pid * 8 + (engines++ % 8);
  return {
    name: `t${(number % 36 ** 6).toString(36)}`,
    stateDir: join(folder, 'state'),
    subnet: `10.${100 + (number % 97)}.${Math.floor(number / 97) % 256}.0/24`,
    uidBase: 1_000_000_000,
    log: silentLog(),
    networkSlots: 1,
  };
}

/** What a test of one engine must not leave on this machine. */
export function engineScope(options: Pick<EngineOptions, 'name' | 'stateDir'>): LedgerScope {
  return {
    engines: [options.name],
    folders: [dirname(options.stateDir)],
    files: [options.stateDir],
    markers: [`--engine=${options.name}`],
  };
}

/** Makes the world; `close` leaves nothing of it, or the ledger says what it is. */
export async function makeEngineWorld(more: Partial<EngineOptions> = {}): Promise<EngineWorld> {
  const folder = mkdtempSync(join(tmpdir(), 'hearth-engine-'));
  const layer = makeBusyboxLayer(join(folder, 'layer'));
  const options = { ...engineOptions(folder), ...more };
  const ledger = new Ledger(engineScope(options));
  const engine = await createEngine(options);
  const spec = (argv: readonly string[], more: Partial<ContainerSpec> = {}) =>
    makeSpec(layer, argv, more);
  return {
    folder,
    layer,
    options,
    engine,
    spec,
    run: async (argv, more) => ended(await engine.start(spec(argv, more))),
    close: async () => {
      try {
        await engine.close();
        await ledger.assertBalanced();
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
  };
}

/** A small container without a network. */
export function makeSpec(
  layer: string,
  argv: readonly string[],
  more: Partial<ContainerSpec> = {},
): ContainerSpec {
  counter += 1;
  return {
    id: `c-${process.pid}-${counter}`,
    hostname: 'box',
    layers: [layer],
    argv,
    env: ['PATH=/bin'],
    cwd: '/',
    user: { uid: 0, gid: 0, groups: [] },
    capabilities: [],
    resources: {
      memoryBytes: 128 * 1024 * 1024,
      cpuMillis: 1000,
      pids: 64,
      diskBytes: 32 * 1024 * 1024,
      openFiles: 256,
    },
    network: 'none',
    ...more,
  };
}

/** Waits for the end of a container, with what it said, and removes it. */
export async function ended(container: Container): Promise<Ran> {
  const said = { stdout: '', stderr: '' };
  container.onOutput((stream, chunk) => {
    said[stream] += chunk.toString();
  });
  const status = await container.exited;
  await container.remove();
  return { ...status, ...said };
}

/** Resolves with the first output that matches. */
export function says(container: Container, pattern: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    container.onOutput((_, chunk) => {
      text += chunk.toString();
      if (pattern.test(text)) resolve(text);
    });
    void container.exited.then(() => reject(new Error(`ended without ${pattern}: ${text}`)));
  });
}
