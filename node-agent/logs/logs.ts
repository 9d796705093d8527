import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { LIMITS } from '../../lib/limits.ts';
import { parseFunctionName } from '../../lib/names.ts';
import type { Log } from '../../lib/telemetry/log.ts';
import { ContainerLog } from './container-log.ts';
import { LogFiles, type Waiting } from './log-files.ts';

export interface LogsOptions {
  /** One folder a function is made in here. */
  folder: string;
  /** And here one a container that a user runs by hand. */
  containersFolder: string;
  log: Log;
  /** Bytes of output that were not kept. */
  onDropped(bytes: number): void;
}

const COMPLAINT_MS = 60_000;

/** The logs of all functions and containers on this node; they outlive instances and the agent. */
export class Logs {
  readonly #options: LogsOptions;
  /** By folder. */
  readonly #files = new Map<string, LogFiles>();
  readonly #waiting: Waiting = { bytes: 0 };
  #complainedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: LogsOptions) {
    this.#options = options;
  }

  /** @throws HearthError NameInvalid: the name becomes a folder's */
  of(functionName: string): LogFiles {
    return this.#in(join(this.#options.folder, parseFunctionName(functionName)));
  }

  /** The log of a container that a user runs; `id` is one of the agent's own. */
  ofContainer(id: string): LogFiles {
    return this.#in(join(this.#options.containersFolder, id));
  }

  /** What one instance writes, into its function's log. */
  forInstance(functionName: string, instanceId: string): ContainerLog {
    return new ContainerLog({
      target: () => this.of(functionName),
      functionName,
      instanceId,
      onDropped: this.#options.onDropped,
    });
  }

  /** What a container writes that a user runs. */
  forContainer(id: string): ContainerLog {
    return new ContainerLog({
      target: () => this.ofContainer(id),
      functionName: '',
      instanceId: id,
      onDropped: this.#options.onDropped,
    });
  }

  /** Removes a container's log. It must have ended. */
  async removeContainer(id: string): Promise<void> {
    await this.ofContainer(id).remove();
    this.#files.delete(join(this.#options.containersFolder, id));
  }

  /** Removes the logs of all containers but `ids`. */
  async keepContainers(ids: ReadonlySet<string>): Promise<void> {
    for (const name of await readdir(this.#options.containersFolder)) {
      if (ids.has(name)) continue;
      await rm(join(this.#options.containersFolder, name), { recursive: true, force: true });
    }
  }

  /** Resolves when every line appended before is in its file. */
  async flush(): Promise<void> {
    await Promise.all([...this.#files.values()].map((log) => log.flush()));
  }

  #in(folder: string): LogFiles {
    const known = this.#files.get(folder);
    if (known !== undefined) return known;
    if (this.#files.size >= LIMITS.logFunctionsOpenMax) this.#forgetIdle();
    const files = new LogFiles({
      folder,
      waiting: this.#waiting,
      onDropped: (bytes, error) => this.#dropped(bytes, error),
    });
    this.#files.set(folder, files);
    return files;
  }

  #forgetIdle(): void {
    for (const [folder, files] of this.#files) if (files.idle) this.#files.delete(folder);
  }

  #dropped(bytes: number, error: unknown): void {
    this.#options.onDropped(bytes);
    const nowMs = performance.now();
    if (nowMs - this.#complainedAtMs < COMPLAINT_MS) return;
    this.#complainedAtMs = nowMs;
    this.#options.log.warn({ bytes, err: error }, 'output not written');
  }
}
