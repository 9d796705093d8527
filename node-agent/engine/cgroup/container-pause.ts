import { HearthError } from '../../../lib/errors.ts';
import type { Emit } from '../container-events.ts';
import type { ContainerCgroup } from './container-cgroup.ts';

/** Holds all processes of one container, and lets them go on. */
export class ContainerPause {
  readonly #id: string;
  readonly #cgroup: ContainerCgroup;
  readonly #emit: Emit;

  constructor(parts: { spec: { id: string }; cgroup: ContainerCgroup; emit: Emit }) {
    this.#id = parts.spec.id;
    this.#cgroup = parts.cgroup;
    this.#emit = parts.emit;
  }

  /** As the kernel says, so that it holds for a container of an earlier process too. */
  get paused(): boolean {
    return this.#cgroup.frozen;
  }

  /** Resolves when every process stands still. @throws HearthError Conflict, KernelUnsupported */
  async pause(): Promise<void> {
    if (this.paused) throw this.#conflict('is paused already');
    await this.#cgroup.freeze();
    this.#emit('pause');
  }

  /** @throws HearthError Conflict when it is not paused */
  resume(): void {
    if (!this.thaw()) throw this.#conflict('is not paused');
  }

  /** Whether it was paused. */
  thaw(): boolean {
    if (!this.paused) return false;
    this.#cgroup.thaw();
    this.#emit('unpause');
    return true;
  }

  #conflict(what: string): HearthError {
    return new HearthError('Conflict', `container "${this.#id}" ${what}`);
  }
}
