import type { ContainerInfo } from '../../lib/container-api.ts';
import { HearthError } from '../../lib/errors.ts';
import { newId } from '../../lib/ids.ts';
import { LIMITS } from '../../lib/limits.ts';
import type { Log } from '../../lib/telemetry/log.ts';
import type { ParsedRun } from '../api/parse-run-request.ts';
import type { ExitStatus } from '../engine/container-spec.ts';
import type { Container } from '../engine/engine-types.ts';
import { type Demand, sumOf } from '../instances/admission.ts';
import { exitText } from '../instances/exit-text.ts';
import { shuttingDown, storageFault } from '../instances/node-faults.ts';
import { nameTaken, notRunning } from './faults.ts';
import { madeUpName } from './made-up-name.ts';
import { PlainContainer } from './plain-container.ts';
import { type RunParts, runContainer, startedFacts } from './run-container.ts';
import { stopContainer } from './stop-container.ts';

export interface ContainersOptions extends RunParts {
  log: Log;
  /** Why no container of this size can be taken now; undefined when it can. */
  refusal(demand: Demand): HearthError | undefined;
}

interface Starting extends Demand {
  name: string;
}

const ID = /^c-/;

/** Whether a container of the engine's is one that a user runs by hand. */
export function isPlain({ id }: Pick<Container, 'id'>): boolean {
  return ID.test(id);
}

/** The containers of this node that users run by hand: starts them, watches over them, ends them. */
export class Containers {
  readonly #options: ContainersOptions;
  readonly #starting = new Map<string, Starting>();
  readonly #all = new Map<string, PlainContainer>();
  #stopping = false;

  constructor(options: ContainersOptions) {
    this.#options = options;
  }

  /** Those that run and those that have ended. */
  all(): PlainContainer[] {
    return [...this.#all.values()];
  }

  /** Containers that run or start. */
  get liveCount(): number {
    return this.#starting.size + this.#live().length;
  }

  /** What those were promised. */
  get reserved(): Demand {
    return sumOf([...this.#starting.values(), ...this.#live().map(({ file }) => file.info)]);
  }

  /** Starts one. @throws HearthError as `POST /v1/containers` documents */
  async run(run: ParsedRun): Promise<ContainerInfo> {
    if (this.#stopping) throw shuttingDown();
    const name = run.name ?? madeUpName((made) => this.#isTaken(made));
    if (this.#isTaken(name)) throw nameTaken(name);
    const { memoryBytes, pids } = run.resources;
    const refused = this.#options.refusal({ memoryBytes, pids });
    if (refused !== undefined) throw refused;
    const id = newId('c');
    this.#starting.set(id, { name, memoryBytes, pids });
    try {
      const container = await runContainer(this.#options, run, { id, name });
      this.#watch(container);
      if (!this.#stopping) return container.info;
      await container.container?.kill();
      await container.ended;
      throw shuttingDown();
    } catch (error) {
      throw this.#stopping ? shuttingDown() : storageFault(error);
    } finally {
      this.#starting.delete(id);
    }
  }

  /** Ends one: its signal, its time, SIGKILL. One that has ended already is left as it is. */
  async stop(plain: PlainContainer, graceMs: number): Promise<void> {
    const { container, log, file } = plain;
    if (container !== undefined) {
      await stopContainer(container, { signal: file.stopSignal, graceMs, log });
    }
    await plain.ended;
  }

  /** Sends a signal; after SIGKILL it has ended. @throws HearthError Conflict */
  async kill(plain: PlainContainer, signal: NodeJS.Signals): Promise<void> {
    const { container } = plain;
    if (container === undefined) throw notRunning(plain, 'kill');
    if (signal !== 'SIGKILL') return container.signal(signal);
    await container.kill();
    await plain.ended;
  }

  /** Removes its record and its log. @throws HearthError Conflict while it runs, unless by `force` */
  async remove(plain: PlainContainer, { force = false } = {}): Promise<void> {
    const { container, info } = plain;
    if (container !== undefined && !force) {
      throw new HearthError(
        'Conflict',
        `cannot remove container "${info.name}": container is ${info.state}`,
        { hint: 'stop it first, or remove it by force' },
      );
    }
    await container?.kill();
    await plain.ended;
    await this.#forget(plain);
  }

  /** Takes over what an earlier process of this agent left: what runs, and records of what ended. */
  async adopt(containers: readonly Container[]): Promise<void> {
    const { files, logs } = this.#options;
    const live = new Map(containers.map((container) => [container.id, container]));
    for (const file of await files.load()) {
      const container = live.get(file.info.id);
      live.delete(file.info.id);
      if (container !== undefined) this.#adoptLive(file, container);
      else await this.#adoptEnded(file);
    }
    for (const container of live.values()) await this.#discard(container);
    await logs.keepContainers(new Set(this.#all.keys()));
    await this.#trim();
  }

  /** Refuses new ones and ends all within `deadlineMs`. */
  async close(deadlineMs: number): Promise<void> {
    this.#stopping = true;
    const ends = this.#live().map(async (plain) => {
      await this.stop(plain, Math.min(deadlineMs, LIMITS.graceMsDefault));
    });
    await Promise.allSettled(ends);
  }

  #live(): PlainContainer[] {
    return this.all().filter(({ container }) => container !== undefined);
  }

  #isTaken(name: string): boolean {
    const starting = [...this.#starting.values()].some((start) => start.name === name);
    return starting || this.all().some((plain) => plain.name === name);
  }

  #adoptLive(file: PlainContainer['file'], container: Container): void {
    const log = this.#options.logs.forContainer(container.id);
    container.onOutput((stream, chunk) => log.output(stream, chunk));
    log.adopted(container.missedOutputBytes);
    const startedAtMs = file.info.startedAtMs === 0 ? file.info.createdAtMs : file.info.startedAtMs;
    const info = { ...file.info, ...startedFacts(container, startedAtMs) };
    this.#watch(new PlainContainer({ ...file, info }, { container, log }));
  }

  /** One that was never started, or that nobody wants after its end, goes. */
  async #adoptEnded(file: PlainContainer['file']): Promise<void> {
    const plain = new PlainContainer(file);
    if (file.info.startedAtMs === 0 || file.autoRemove) return this.#options.files.remove(plain.id);
    if (file.info.endedAtMs === undefined) {
      // How it ended nobody could see
      plain.exit({ oomKilled: false }, Date.now());
      await this.#options.files.put(plain.file);
    }
    this.#all.set(plain.id, plain);
  }

  async #discard(container: Container): Promise<void> {
    this.#options.log.warn({ container: container.id }, 'container without a record removed');
    await container.kill();
    await container.remove();
  }

  #watch(plain: PlainContainer): void {
    this.#all.set(plain.id, plain);
    const { container } = plain;
    if (container === undefined) return;
    container.exited
      .then((exit) => this.#end(plain, container, exit))
      .catch((error: unknown) => {
        this.#options.log.error({ err: error, container: plain.id }, 'container not ended cleanly');
      })
      .finally(() => plain.markEnded());
  }

  async #end(plain: PlainContainer, container: Container, exit: ExitStatus): Promise<void> {
    plain.exit(exit, Date.now());
    const limitBytes = plain.info.memoryBytes;
    if (exit.oomKilled) plain.log?.system(exitText(exit, { limitBytes, peakBytes: undefined }));
    plain.log?.end();
    try {
      if (plain.file.autoRemove) await this.#forget(plain);
      else await this.#options.files.put(plain.file);
    } finally {
      await container.remove();
    }
    await this.#trim();
  }

  async #forget(plain: PlainContainer): Promise<void> {
    this.#all.delete(plain.id);
    await this.#options.files.remove(plain.id);
    await this.#options.logs.removeContainer(plain.id);
  }

  /** Those that ended are kept up to a number. */
  async #trim(): Promise<void> {
    const ended = this.all().filter(({ container }) => container === undefined);
    const over = ended.length - LIMITS.containersEndedMax;
    if (over <= 0) return;
    ended.sort((a, b) => (a.info.endedAtMs ?? 0) - (b.info.endedAtMs ?? 0));
    for (const plain of ended.slice(0, over)) await this.#forget(plain);
  }
}
