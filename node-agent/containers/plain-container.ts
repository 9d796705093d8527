import type { ContainerInfo } from '../../lib/container-api.ts';
import type { ExitStatus } from '../engine/container-spec.ts';
import type { Container } from '../engine/engine-types.ts';
import type { ContainerLog } from '../logs/container-log.ts';
import type { ContainerFile } from './container-files.ts';

/** A container that a user runs by hand: while it runs, and what is known of it after. */
export class PlainContainer {
  /** Undefined for one that had ended before this process of the agent began. */
  readonly log: ContainerLog | undefined;
  /** Resolves when it has ended, its last output is written, and nothing of it is left but that. */
  readonly ended: Promise<void>;
  readonly #resolveEnded: () => void;
  #container: Container | undefined;
  #file: ContainerFile;

  constructor(file: ContainerFile, live?: { container: Container; log: ContainerLog }) {
    this.#file = file;
    this.#container = live?.container;
    this.log = live?.log;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ended = promise;
    this.#resolveEnded = resolve;
    if (live === undefined) resolve();
  }

  get id(): string {
    return this.#file.info.id;
  }

  get name(): string {
    return this.#file.info.name;
  }

  /** What stands on the disk. */
  get file(): ContainerFile {
    return this.#file;
  }

  /** Undefined once it has ended. */
  get container(): Container | undefined {
    return this.#container;
  }

  get info(): ContainerInfo {
    const { info } = this.#file;
    if (this.#container === undefined) return info;
    return { ...info, state: this.#container.paused ? 'paused' : 'running' };
  }

  /** Its process is gone. */
  exit(status: ExitStatus, nowMs: number): void {
    const { code, signal, oomKilled } = status;
    const info: ContainerInfo = {
      ...this.#file.info,
      state: 'exited',
      endedAtMs: nowMs,
      ...(code === undefined ? {} : { exitCode: code }),
      ...(signal === undefined ? {} : { signal }),
      ...(oomKilled ? { oomKilled } : {}),
    };
    this.#file = { ...this.#file, info };
    this.#container = undefined;
  }

  markEnded(): void {
    this.#resolveEnded();
  }
}
