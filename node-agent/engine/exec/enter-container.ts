import { randomBytes } from 'node:crypto';
import { constants } from 'node:os';
import { basename } from 'node:path';
import { HearthError } from '../../../lib/errors.ts';
import type { ContainerCgroup } from '../cgroup/container-cgroup.ts';
import type { Emit } from '../container-events.ts';
import type { ContainerSpec } from '../container-spec.ts';
import { isSameProcess, type ProcessIdentity } from '../kernel/process-identity.ts';
import { syscalls } from '../kernel/syscalls.ts';
import type { EnterPlan } from '../launcher/enter-messages.ts';
import { type LauncherClient, StartRefused } from '../launcher-client.ts';
import type { OciRuntimes } from '../oci/runtimes.ts';
import { reapOrphan } from '../orphans.ts';
import { planEnter } from './exec-plan.ts';

const ENTER_MS = 15_000;

/** What of a container is needed to send a process into it. */
export interface EnterTarget {
  readonly id: string;
  readonly spec: ContainerSpec;
  /** Its program; undefined until it runs. */
  readonly process: ProcessIdentity | undefined;
  readonly paused: boolean;
  readonly parts: {
    cgroup: ContainerCgroup;
    /** First host uid of its range. */
    uidBase: number;
    launcher: () => Promise<LauncherClient>;
    runtimes: Pick<OciRuntimes, 'find'>;
    emit: Emit;
  };
}

/** What a process does in the container, and as whom. */
export interface EnterOrder {
  work: EnterPlan['work'];
  user: EnterPlan['user'];
  /** Names; default: those of the container's program. */
  capabilities?: readonly string[];
}

/** Runtimes whose containers are processes in namespaces of this kernel, and nothing else. */
const NAMESPACE_RUNTIMES: readonly string[] = ['runc', 'crun', 'youki'];

/**
 * The program of a container that runs, and may be joined: by the namespaces of a sandbox with a
 * kernel of its own, programs would get out of it and onto the host's.
 * @throws HearthError Conflict, BadRequest
 */
export function requireRunning(target: EnterTarget): ProcessIdentity {
  const { id, paused, process, spec } = target;
  const runtime = spec.ociRuntime;
  if (runtime !== undefined) {
    const name = basename(target.parts.runtimes.find(runtime).path);
    if (!NAMESPACE_RUNTIMES.includes(name)) {
      const message = `container "${id}" cannot be entered: its runtime "${runtime}" is ${name}`;
      const hint = `exec and copies work with ${NAMESPACE_RUNTIMES.join(', ')} and without a runtime`;
      throw new HearthError('BadRequest', message, { hint });
    }
  }
  if (process === undefined) throw new HearthError('Conflict', `container "${id}" does not run`);
  if (!paused) return process;
  const hint = 'resume it first';
  throw new HearthError('Conflict', `container "${id}" is paused`, { hint });
}

/** A process that the launcher sent into a container. */
export class EnteredProcess {
  readonly id = randomBytes(8).toString('hex');
  /** Raw wait status; undefined when the launcher ended first, and the process with it. */
  readonly ended: Promise<number | undefined>;
  #end: (status: number | undefined) => void = () => {};
  #identity: ProcessIdentity = { pid: 0, startTime: '' };
  #pidfd: number | undefined;
  #abandoned = false;

  constructor() {
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  get pid(): number {
    return this.#identity.pid;
  }

  /**
   * Resolves when it does its work inside.
   * @throws StartRefused with the step that failed; HearthError Conflict
   */
  async enter(target: EnterTarget, order: EnterOrder): Promise<void> {
    const program = requireRunning(target);
    const plan = planEnter(target.spec, {
      ...order,
      id: this.id,
      target: { pid: program.pid, startTime: program.startTime },
      cgroups: target.parts.cgroup.folders,
      enginePid: process.pid,
    });
    const launcher = await target.parts.launcher();
    const entered = launcher.enter(plan, (status) => this.#left(status));
    // One that comes too late is of no use to anybody
    entered.then((identity) => this.#begin(identity)).catch(() => {});
    try {
      await within(entered, () => launcher.cancel(this.id));
    } catch (error) {
      this.#abandoned = true;
      throw error;
    }
  }

  signal(signal: NodeJS.Signals): void {
    if (this.#pidfd === undefined) return;
    try {
      syscalls.pidfdSendSignal(this.#pidfd, constants.signals[signal]);
    } catch {
      // It ended meanwhile, which is what most signals are for
    }
  }

  #begin(identity: ProcessIdentity): void {
    this.#identity = identity;
    this.#pidfd = openSame(identity);
    if (this.#abandoned) this.signal('SIGKILL');
  }

  #left(status: number | undefined): void {
    // Without its launcher nobody can say how it ends
    if (status === undefined) {
      this.signal('SIGKILL');
      if (this.pid !== 0) void reapOrphan(this.pid);
    }
    if (this.#pidfd !== undefined) syscalls.close(this.#pidfd);
    this.#pidfd = undefined;
    this.#end(status);
  }
}

/** A container that was paused meanwhile, or hangs, is not waited for. */
async function within<T>(work: Promise<T>, cancel: () => void): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      cancel();
      const message = `not inside after ${ENTER_MS} ms`;
      reject(new StartRefused({ step: 'enter container', errno: 'ETIMEDOUT', message }));
    }, ENTER_MS);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

function openSame(identity: ProcessIdentity): number | undefined {
  try {
    const pidfd = syscalls.pidfdOpen(identity.pid);
    if (isSameProcess(identity.pid, identity.startTime)) return pidfd;
    syscalls.close(pidfd);
  } catch {
    // It has ended already; its report follows
  }
  return undefined;
}
