import { type ChildProcess, spawn } from 'node:child_process';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { HearthError } from '../../lib/errors.ts';
import type { Log } from '../../lib/telemetry/log.ts';
import { launcherFailpoints } from './failpoints.ts';
import type { ProcessIdentity } from './kernel/process-identity.ts';
import type { EnterPlan } from './launcher/enter-messages.ts';
import { encodeFrame, FrameReader } from './launcher/frames.ts';
import type {
  BlankPlan,
  ContainerProcess,
  Report,
  Request,
  StartFailure,
  StartPlan,
} from './launcher/messages.ts';
import type { RuntimePlan } from './launcher/runtime/runtime-messages.ts';
import { takeOrphans } from './orphans.ts';
import { PlanPipe } from './plan-pipe.ts';

const READY_MS = 20_000;
const LOG_LINE_BYTES_MAX = 4096;

/** A start that the child itself gave up, or the launcher could not begin. */
export class StartRefused extends Error {
  readonly failure: StartFailure;

  constructor(failure: StartFailure) {
    super(`${failure.step}: ${failure.message}`);
    this.failure = failure;
  }
}

export interface LauncherEvents {
  /** Name of the engine, for whoever looks at the processes of this machine. */
  engine: string;
  /** What it becomes when the engine is gone and containers live reads them from here. */
  containersDir: string;
  outputLock: string;
  onExited: (report: Report & { type: 'exited' }) => void;
  onBlankLost: (name: string) => void;
  /** The process ended although nobody closed it. */
  onLost: () => void;
  log: Log;
}

/** A blank that waits: what its container will be, and where its plan goes if not through the launcher. */
interface MadeBlank {
  process: ContainerProcess;
  pipe: PlanPipe | undefined;
}

type Answer = Report & { type: 'started' | 'entered' | 'failed' | 'done' };
type Unnumbered<R> = R extends { seq: number } ? Omit<R, 'seq'> : never;

/** The engine's end of the launcher: numbered requests, and reports of ended containers. */
export class LauncherClient {
  readonly #child: ChildProcess;
  readonly #control: Duplex;
  readonly #events: LauncherEvents;
  readonly #pending = new Map<
    number,
    { resolve: (answer: Answer) => void; reject: (error: Error) => void }
  >();
  /** Who hears the end of each process that was sent into a container. */
  readonly #inside = new Map<string, (status: number | undefined) => void>();
  readonly #ended: Promise<void>;
  #onReady: () => void = () => {};
  #isReady = false;
  #seq = 0;
  #closing = false;
  #lostBy: StartRefused | undefined;

  private constructor(events: LauncherEvents) {
    this.#events = events;
    takeOrphans();
    const bootstrap = fileURLToPath(new URL('./launcher/bootstrap.js', import.meta.url));
    // A session of its own: a terminal's Ctrl-C is for the agent, which ends the launcher in order
    const drained = [events.containersDir, events.outputLock];
    this.#child = spawn(process.execPath, [bootstrap, `--engine=${events.engine}`, ...drained], {
      stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
      detached: true,
      env: launcherFailpoints(),
      cwd: '/',
    });
    this.#control = this.#child.stdio[3] as Duplex;
    this.#ended = new Promise((resolve) => {
      this.#child.once('close', () => resolve());
    });
    this.#child.once('error', (error) => this.#lost(error.message));
    this.#child.once('exit', (code, signal) => this.#lost(`exit ${code ?? signal}`));
    this.#control.on('error', (error) =>
      events.log.warn({ error: error.message }, 'launcher stream'),
    );
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      events.log.warn({ text: text.slice(0, LOG_LINE_BYTES_MAX) }, 'launcher says');
    });
    const frames = new FrameReader();
    this.#control.on('data', (chunk: Buffer) => {
      for (const report of frames.push(chunk)) this.#receive(report as Report);
    });
  }

  /** Starts a launcher process. @throws HearthError KernelUnsupported */
  static async create(events: LauncherEvents): Promise<LauncherClient> {
    const client = new LauncherClient(events);
    let timer: NodeJS.Timeout | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        client.#onReady = resolve;
        void client.#ended.then(() => reject(new Error('it ended at once')));
        timer = setTimeout(() => reject(new Error(`not ready in ${READY_MS} ms`)), READY_MS);
      });
      client.#isReady = true;
      return client;
    } catch (cause) {
      await client.close();
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new HearthError('KernelUnsupported', `cannot start the launcher: ${reason}`, {
        hint: '`hearth doctor` says what the engine needs: root, Node 24, seccomp',
        cause,
      });
    } finally {
      clearTimeout(timer);
    }
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Resolves when the blank waits for its plan. @throws StartRefused */
  async blank(blank: BlankPlan): Promise<MadeBlank> {
    const answer = await this.#ask({ type: 'blank', blank });
    if (answer.type === 'done' && answer.process !== undefined) {
      const { door, process } = answer;
      return { process, pipe: door === undefined ? undefined : PlanPipe.open(this.pid, door) };
    }
    throw new Error(`launcher answered ${answer.type}`);
  }

  /** Resolves when the program has been executed. Closes the pipe. @throws StartRefused */
  async start(
    blank: { name: string; pipe?: PlanPipe | undefined },
    plan: StartPlan,
  ): Promise<ContainerProcess> {
    const answer = await this.#ask(requestOf(blank, plan));
    if (answer.type === 'started') {
      const { init, pid, startTime } = answer;
      return { pid, startTime, init };
    }
    throw new Error(`launcher answered ${answer.type}`);
  }

  /** Resolves when another runtime has made and started the container. @throws StartRefused */
  async runtime(runtime: RuntimePlan): Promise<ContainerProcess> {
    const answer = await this.#ask({ type: 'runtime', runtime });
    if (answer.type !== 'started') throw new Error(`launcher answered ${answer.type}`);
    const { init, pid, startTime } = answer;
    return { pid, startTime, init };
  }

  /** Ends a runtime that has not made its container yet: its request then fails. */
  async abortRuntime(id: string): Promise<void> {
    await this.#ask({ type: 'abortRuntime', id });
  }

  /** Writes the settings inside a network namespace. */
  async prepareNetwork(netns: string): Promise<void> {
    await this.#ask({ type: 'prepareNetwork', netns });
  }

  /** Reports the end of a container that an earlier launcher began. */
  async watch(container: { id: string } & ProcessIdentity): Promise<void> {
    const { id, pid, startTime } = container;
    await this.#ask({ type: 'watch', id, pid, startTime });
  }

  /**
   * Sends a process into a container; resolves when it does its work there. `left` hears the raw
   * wait status of its end, undefined when the launcher ended first.
   * @throws StartRefused
   */
  async enter(
    plan: EnterPlan,
    left: (status: number | undefined) => void,
  ): Promise<ProcessIdentity> {
    // Before it is asked for: the report of a quick end may come with the answer
    this.#inside.set(plan.id, left);
    try {
      const answer = await this.#ask({ type: 'enter', plan });
      if (answer.type !== 'entered') throw new Error(`launcher answered ${answer.type}`);
      return { pid: answer.pid, startTime: answer.startTime };
    } catch (error) {
      this.#inside.delete(plan.id);
      throw error;
    }
  }

  /** Ends a process that is on its way into a container. */
  cancel(id: string): void {
    this.#ask({ type: 'cancel', id }).catch(() => {
      // It ended with the launcher
    });
  }

  /** Ends the launcher; containers are not touched. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#control.destroy();
    await this.#ended;
  }

  /** Leaves the launcher to the containers: it reads what they say until the next engine does. */
  leave(): void {
    this.#closing = true;
    this.#control.destroy();
    this.#child.stderr?.destroy();
    this.#child.unref();
    // It ends them when it hears of this, and lives on
    for (const id of [...this.#inside.keys()]) this.#left(id, undefined);
  }

  async #ask(request: Unnumbered<Request>): Promise<Answer> {
    if (this.#lostBy !== undefined) throw this.#lostBy;
    if (this.#closing) throw new HearthError('ShuttingDown', 'the container engine is closing');
    this.#seq += 1;
    const seq = this.#seq;
    const answer = await new Promise<Answer>((resolve, reject) => {
      this.#pending.set(seq, { resolve, reject });
      this.#control.write(encodeFrame({ ...request, seq }));
    });
    if (answer.type === 'failed') throw new StartRefused(answer.failure);
    return answer;
  }

  #receive(report: Report): void {
    if (report.type === 'ready') this.#onReady();
    else if (report.type === 'exited') this.#events.onExited(report);
    else if (report.type === 'blankLost') this.#events.onBlankLost(report.name);
    else if (report.type === 'left') this.#left(report.id, report.status);
    else {
      const pending = this.#pending.get(report.seq);
      this.#pending.delete(report.seq);
      pending?.resolve(report);
    }
  }

  #left(id: string, status: number | undefined): void {
    const left = this.#inside.get(id);
    this.#inside.delete(id);
    left?.(status);
  }

  #lost(reason: string): void {
    const error = new StartRefused({ step: 'launcher', errno: 'ERR', message: reason });
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
    for (const id of [...this.#inside.keys()]) this.#left(id, undefined);
    if (this.#closing || this.#lostBy !== undefined) return;
    this.#lostBy = error;
    this.#events.log.error({ reason }, 'launcher ended');
    // Before it was ready, whoever creates it hears of it
    if (this.#isReady) this.#events.onLost();
  }
}

/** The plan first, as the blank goes on with it at once; then who it is, which the launcher must know. */
function requestOf(
  { name: blank, pipe }: { name: string; pipe?: PlanPipe | undefined },
  plan: StartPlan,
): Unnumbered<Request> {
  let given: { loopback: boolean } | undefined;
  try {
    given = pipe?.give(plan);
  } finally {
    pipe?.close();
  }
  if (given === undefined) return { type: 'start', blank, plan };
  return { type: 'planned', blank, id: plan.id, ...given };
}
