import { statfsSync } from 'node:fs';
import type { Emit } from '../container-events.ts';
import type { ContainerSpec } from '../container-spec.ts';
import type { EngineAction, EngineEvent } from '../engine-event.ts';
import type { ContainerCgroup } from './container-cgroup.ts';
import {
  type AlarmState,
  alarmsOf,
  isDiskFull,
  type LimitCounts,
  QUIET,
} from './resource-alarm.ts';

/** Says when a container meets its limits. It costs three small reads a look, and nothing between. */
export class ContainerAlarm {
  readonly #spec: ContainerSpec;
  readonly #cgroup: ContainerCgroup;
  readonly #emit: Emit;
  #state: AlarmState = QUIET;

  constructor(parts: { spec: ContainerSpec; cgroup: ContainerCgroup; emit: Emit }) {
    this.#spec = parts.spec;
    this.#cgroup = parts.cgroup;
    this.#emit = parts.emit;
  }

  /** What was before now has been said by an earlier process. */
  begin(pid: number): void {
    this.#state = alarmsOf(this.#state, this.#counts(pid)).state;
  }

  /** Looks, and says what is new. `pid` is undefined once it has ended. */
  look(pid: number | undefined): void {
    const { state, actions } = alarmsOf(this.#state, this.#counts(pid));
    this.#state = state;
    for (const action of actions) this.#emit(action, this.#facts(action));
  }

  #counts(pid: number | undefined): LimitCounts {
    return {
      oomKills: this.#cgroup.oomKills(),
      forksRefused: this.#cgroup.forksRefused(),
      diskFull: pid === undefined ? this.#state.diskFull : this.#diskFull(pid),
    };
  }

  /** Whether its writable layer is. A build step's is a folder of the host, without a size. */
  #diskFull(pid: number): boolean {
    if (this.#spec.upperDir !== undefined) return false;
    try {
      return isDiskFull(statfsSync(`/proc/${pid}/root`));
    } catch {
      return false;
    }
  }

  #facts(action: EngineAction): EngineEvent['attributes'] {
    const { diskBytes, memoryBytes, pids } = this.#spec.resources;
    if (action === 'pids-limit') return { limit: pids };
    if (action === 'disk-limit') return { limitBytes: diskBytes };
    return { limitBytes: memoryBytes, peakBytes: this.#cgroup.memory().peakBytes };
  }
}
