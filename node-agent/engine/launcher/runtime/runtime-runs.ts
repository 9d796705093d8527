import { readFileSync } from 'node:fs';
import { WNOHANG } from '../../kernel/linux-constants.ts';
import { type ProcessIdentity, processStartTime } from '../../kernel/process-identity.ts';
import type { LauncherContext } from '../blank.ts';
import type { Children, Sources } from '../children.ts';
import type { StartFailure } from '../messages.ts';
import { failureOf, parseOutcome } from '../outcome.ts';
import { forkRuntime } from './runtime-child.ts';
import type { RuntimePlan } from './runtime-messages.ts';

const READ_BYTES = 65_536;
const SIGKILL = 9;

/** How the run of a runtime went: the container it made, or why it made none. */
export interface RuntimeEvents {
  started: (process: ProcessIdentity) => void;
  failed: (failure: StartFailure) => void;
  /** The container ended, with its raw wait status. */
  exited: (pid: number, status: number) => void;
}

/**
 * Runs of other OCI runtimes. A runtime makes the container and ends; the container, whose parent it
 * was, then is the launcher's child, which is a reaper for that (PR_SET_CHILD_SUBREAPER).
 */
export class RuntimeRuns {
  readonly #context: LauncherContext;
  readonly #sources: Sources;
  readonly #children: Children;
  /** Descriptors of the runtimes under way, by container. */
  readonly #running = new Map<string, number>();
  /** Process groups of ended runtimes that may have left children of theirs to this process. */
  readonly #orphaned = new Set<number>();
  readonly #chunk = Buffer.alloc(READ_BYTES);

  constructor(context: LauncherContext, sources: Sources, children: Children) {
    this.#context = context;
    this.#sources = sources;
    this.#children = children;
  }

  start(plan: RuntimePlan, events: RuntimeEvents): void {
    const { sys } = this.#context;
    const { outcomeFd, pid } = forkRuntime(this.#context, plan);
    const pidfd = sys.pidfdOpen(pid);
    const said: Buffer[] = [];
    this.#running.set(plan.start.id, pidfd);
    this.#sources.set(outcomeFd, () => {
      const length = sys.read(outcomeFd, this.#chunk);
      if (length > 0) {
        said.push(Buffer.from(this.#chunk.subarray(0, length)));
        return;
      }
      this.#sources.delete(outcomeFd);
      sys.close(outcomeFd);
      const failure = parseOutcome(Buffer.concat(said));
      this.#children.add({ pid, pidfd }, (status) => {
        this.#running.delete(plan.start.id);
        this.#orphaned.add(pid);
        this.#reapOrphans();
        if (failure !== undefined) events.failed(failure);
        else this.#ended(plan, status, events);
      });
    });
  }

  /** Ends a runtime that takes too long. */
  abort(id: string): void {
    const pidfd = this.#running.get(id);
    if (pidfd !== undefined) this.#context.sys.pidfdSendSignal(pidfd, SIGKILL);
  }

  /** A runtime that is killed, or fails, does not wait for its own helpers: they become zombies here. */
  #reapOrphans(): void {
    for (const group of this.#orphaned) {
      try {
        while (this.#context.sys.wait4(-group, WNOHANG).pid !== 0);
      } catch {
        this.#orphaned.delete(group);
      }
    }
  }

  #ended(plan: RuntimePlan, status: number, events: RuntimeEvents): void {
    try {
      if (status !== 0) throw new Error(ending(status));
      const pid = Number(readFileSync(plan.pidFile, 'utf8'));
      const pidfd = this.#context.sys.pidfdOpen(pid);
      events.started({ pid, startTime: processStartTime(pid) });
      this.#children.add({ pid, pidfd }, (end) => events.exited(pid, end));
    } catch (error) {
      events.failed(failureOf('runtime', error));
    }
  }
}

/** A raw wait status in words. */
function ending(status: number): string {
  const signal = status & 0x7f;
  return signal === 0 ? `exit code ${(status >> 8) & 0xff}` : `ended by signal ${signal}`;
}
