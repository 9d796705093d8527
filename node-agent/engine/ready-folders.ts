import { mkdirSync, renameSync, rmSync } from 'node:fs';
import { ContainerFolder } from './container-state.ts';
import { AT_FDCWD, S_IFIFO } from './kernel/linux-constants.ts';
import { syscalls } from './kernel/syscalls.ts';

/**
 * Folders of containers to come, with their FIFOs: made ahead, so that a start only moves one to its
 * place. They end with the process that made them.
 */
export class ReadyFolders {
  readonly #path: string;
  readonly #count: number;
  readonly #ready: ContainerFolder[] = [];
  #made = 0;
  #closed = false;

  constructor(path: string, count: number) {
    this.#path = path;
    this.#count = count;
    rmSync(path, { recursive: true, force: true });
    mkdirSync(path, { mode: 0o700 });
  }

  /** Makes folders until enough wait. Call it when nobody waits for a start. */
  fill(): void {
    while (!this.#closed && this.#ready.length < this.#count) {
      const folder = new ContainerFolder(this.#path, String(this.#made++));
      try {
        make(folder);
      } catch {
        // What the host lacks the start itself hears of
        folder.remove();
        return;
      }
      this.#ready.push(folder);
    }
  }

  /** Makes the folder of a container, with its FIFOs; nobody but root may open them yet. */
  place(folder: ContainerFolder): void {
    const ready = this.#ready.shift();
    if (ready === undefined) make(folder);
    else renameSync(ready.path, folder.path);
  }

  close(): void {
    this.#closed = true;
    rmSync(this.#path, { recursive: true, force: true });
  }
}

function make(folder: ContainerFolder): void {
  folder.create();
  for (const path of [folder.stdout, folder.stderr, folder.status]) {
    syscalls.mknodat(AT_FDCWD, path, S_IFIFO | 0o600, 0);
  }
}
