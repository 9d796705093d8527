import { HearthError } from '../../../lib/errors.ts';
import { LIMITS } from '../../../lib/limits.ts';
import type { Emit } from '../container-events.ts';
import { failpoint } from '../failpoints.ts';
import { StartRefused } from '../launcher-client.ts';
import { exitStatus } from '../start-error.ts';
import { EnteredProcess, type EnterTarget, requireRunning } from './enter-container.ts';
import { containerEnv } from './exec-environment.ts';
import { execError } from './exec-error.ts';
import { execFault, planProgram, sizeFault } from './exec-plan.ts';
import { type ExecStreams, pipeStreams, terminalStreams } from './exec-streams.ts';
import type { ExecExit, ExecProcess, ExecSpec } from './exec-types.ts';

/** Further programs in one container. They end with it, or with the engine that runs them. */
export class ContainerExecs {
  readonly #target: EnterTarget;
  #count = 0;

  constructor(target: EnterTarget) {
    this.#target = target;
  }

  /**
   * Resolves when the program has been executed.
   * @throws HearthError BadRequest, Conflict (not running, paused), NoCapacity, EntrypointNotFound,
   * ExecFormat, StartFailed
   */
  async start(spec: ExecSpec): Promise<ExecProcess> {
    const { id } = this.#target;
    const fault = execFault(spec);
    if (fault !== undefined) {
      throw new HearthError('BadRequest', `cannot execute in container "${id}": ${fault}`);
    }
    if (this.#count >= LIMITS.containerExecsMax) {
      const message = `container "${id}" has ${this.#count} programs executed in it already`;
      const hint = 'wait for one of them to end';
      throw new HearthError('NoCapacity', message, { hint });
    }
    this.#count += 1;
    try {
      const exec = await this.#start(spec);
      void exec.exited.then(() => {
        this.#count -= 1;
      });
      return exec;
    } catch (error) {
      this.#count -= 1;
      if (!(error instanceof StartRefused)) throw error;
      throw execError(error.failure, { id, argv: spec.argv, cwd: spec.cwd });
    }
  }

  async #start(spec: ExecSpec): Promise<ExecProcess> {
    const target = this.#target;
    const program = requireRunning(target);
    const user = spec.user ?? target.spec.user;
    const { uidBase } = target.parts;
    const owner = { uid: uidBase + user.uid, gid: uidBase + user.gid };
    const streams = openStreams(spec, { program, owner, uidBase });
    try {
      failpoint('exec.after-streams');
      const env = containerEnv(target.spec, program);
      const work = planProgram(target.spec, spec, { env, streams: streams.given });
      const entered = new EnteredProcess();
      await entered.enter(target, { work, user });
      failpoint('exec.after-start');
      streams.passed();
      return new RunningExec(entered, streams, target.parts.emit);
    } catch (error) {
      streams.close();
      throw error;
    }
  }
}

function openStreams(
  spec: ExecSpec,
  given: {
    program: { pid: number; startTime: string };
    owner: { uid: number; gid: number };
    uidBase: number;
  },
): ExecStreams {
  const { owner, program, uidBase } = given;
  if (spec.tty === undefined) return pipeStreams({ stdin: spec.stdin === true, owner });
  return terminalStreams(program, { ...spec.tty, stdin: spec.stdin === true, owner, uidBase });
}

class RunningExec implements ExecProcess {
  readonly id: string;
  readonly pid: number;
  readonly stdin: ExecProcess['stdin'];
  readonly stdout: ExecProcess['stdout'];
  readonly stderr: ExecProcess['stderr'];
  readonly exited: Promise<ExecExit>;
  readonly #entered: EnteredProcess;
  readonly #streams: ExecStreams;

  constructor(entered: EnteredProcess, streams: ExecStreams, emit: Emit) {
    this.id = entered.id;
    this.pid = entered.pid;
    this.stdin = streams.stdin;
    this.stdout = streams.stdout;
    this.stderr = streams.stderr;
    this.#entered = entered;
    this.#streams = streams;
    this.exited = entered.ended.then((status) => {
      streams.finish();
      const { oomKilled: _, ...exit } = exitStatus(status, 0);
      emit('exec', execAttributes(this.id, exit));
      return exit;
    });
  }

  resize(rows: number, columns: number): void {
    const fault = sizeFault({ rows, columns });
    if (fault !== undefined) throw new HearthError('BadRequest', `cannot resize: ${fault}`);
    this.#streams.resize({ rows, columns });
  }

  signal(signal: NodeJS.Signals): void {
    this.#entered.signal(signal);
  }
}

function execAttributes(id: string, exit: ExecExit): Record<string, string | number> {
  return {
    execId: id,
    ...(exit.code === undefined ? {} : { exitCode: exit.code }),
    ...(exit.signal === undefined ? {} : { signal: exit.signal }),
  };
}
