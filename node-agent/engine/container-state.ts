import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errnoCode } from '../../lib/errors.ts';
import type { ContainerSpec, PublishedPort } from './container-spec.ts';
import type { ProcessIdentity } from './kernel/process-identity.ts';

/** The program of a container, and its init; one without is its own (other OCI runtimes). */
export interface RunningContainer extends ProcessIdentity {
  init?: ProcessIdentity;
}

/** The process whose end is the container's. */
export function lastOf(container: RunningContainer): ProcessIdentity {
  return container.init ?? container;
}

/** What a later process of the engine needs to know of a container. */
export interface ContainerState {
  version: 1;
  /** Without `env` and `files`: values of variables are secrets, and nothing reads them again. */
  spec: ContainerSpec;
  uidSlot: number;
  /** Name of its cgroups. */
  cgroup: string;
  networkSlot?: number;
  /** Its address on a named network. */
  networkAddress?: string;
  /** As they really are. */
  ports?: readonly PublishedPort[];
  /** Set once the program runs. */
  process?: RunningContainer;
}

/** Folder of one container: state, FIFOs. */
export class ContainerFolder {
  readonly path: string;

  constructor(containersDir: string, id: string) {
    this.path = join(containersDir, id);
  }

  get stdout(): string {
    return join(this.path, 'stdout');
  }

  get stderr(): string {
    return join(this.path, 'stderr');
  }

  get status(): string {
    return join(this.path, 'status');
  }

  /** Holds a writable layer on disk. */
  get disk(): string {
    return join(this.path, 'disk');
  }

  create(): void {
    try {
      mkdirSync(this.path, { mode: 0o700 });
    } catch (error) {
      if (errnoCode(error) !== 'EEXIST') throw error;
    }
  }

  /** Whole or not at all. */
  writeState(state: ContainerState): void {
    const file = join(this.path, 'state.json');
    writeFileSync(`${file}.new`, JSON.stringify(state), { mode: 0o600 });
    renameSync(`${file}.new`, file);
  }

  /** Undefined when there is none that can be read. */
  readState(): ContainerState | undefined {
    try {
      const state = JSON.parse(readFileSync(join(this.path, 'state.json'), 'utf8'));
      return state?.version === 1 ? (state as ContainerState) : undefined;
    } catch {
      return undefined;
    }
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** The spec as it may stand on disk. */
export function withoutSecrets(spec: ContainerSpec): ContainerSpec {
  const { files: _, ...rest } = spec;
  return { ...rest, env: [] };
}

/** Ids that have a folder. */
export function listContainerIds(containersDir: string): string[] {
  try {
    return readdirSync(containersDir);
  } catch {
    return [];
  }
}
