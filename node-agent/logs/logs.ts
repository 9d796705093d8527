import { join } from 'node:path';
import { LIMITS } from '../../lib/limits.ts';
import { parseFunctionName } from '../../lib/names.ts';
import type { Log } from '../../lib/telemetry/log.ts';
import { FunctionLog } from './function-log.ts';
import { InstanceLog } from './instance-log.ts';

export interface LogsOptions {
  /** One folder a function is made in here. */
  folder: string;
  log: Log;
  /** Bytes of output that were not kept. */
  onDropped(bytes: number): void;
}

const COMPLAINT_MS = 60_000;

/** The logs of all functions on this node; they outlive instances and the agent. */
export class Logs {
  readonly #options: LogsOptions;
  readonly #functions = new Map<string, FunctionLog>();
  #complainedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: LogsOptions) {
    this.#options = options;
  }

  /** @throws HearthError NameInvalid: the name becomes a folder's */
  of(functionName: string): FunctionLog {
    const name = parseFunctionName(functionName);
    const known = this.#functions.get(name);
    if (known !== undefined) return known;
    if (this.#functions.size >= LIMITS.logFunctionsOpenMax) this.#forgetIdle();
    const log = new FunctionLog({
      folder: join(this.#options.folder, name),
      onDropped: (bytes, error) => this.#dropped(bytes, error),
    });
    this.#functions.set(name, log);
    return log;
  }

  /** The log that one instance writes to. */
  forInstance(functionName: string, instanceId: string): InstanceLog {
    return new InstanceLog({
      target: () => this.of(functionName),
      functionName,
      instanceId,
      onDropped: this.#options.onDropped,
    });
  }

  /** Resolves when every line appended before is in its file. */
  async flush(): Promise<void> {
    await Promise.all([...this.#functions.values()].map((log) => log.flush()));
  }

  #forgetIdle(): void {
    for (const [name, log] of this.#functions) if (log.idle) this.#functions.delete(name);
  }

  #dropped(bytes: number, error: unknown): void {
    this.#options.onDropped(bytes);
    const nowMs = performance.now();
    if (nowMs - this.#complainedAtMs < COMPLAINT_MS) return;
    this.#complainedAtMs = nowMs;
    this.#options.log.warn({ bytes, err: error }, 'function output not written');
  }
}
