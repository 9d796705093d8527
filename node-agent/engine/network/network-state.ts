import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** What a later process of the engine needs to know of a named network. */
export interface NetworkState {
  version: 1;
  name: string;
  /** Names its bridge. */
  number: number;
  subnet: string;
  internal: boolean;
  labels: Readonly<Record<string, string>>;
  createdAtMs: number;
}

/** Files of the named networks, one each. */
export class NetworkFolder {
  readonly #path: string;

  constructor(stateDir: string) {
    this.#path = join(stateDir, 'networks');
  }

  /** All that can be read. */
  read(): NetworkState[] {
    return this.#files().flatMap((file) => {
      try {
        const state = JSON.parse(readFileSync(join(this.#path, file), 'utf8'));
        return state?.version === 1 ? [state as NetworkState] : [];
      } catch {
        return [];
      }
    });
  }

  /** Whole or not at all. */
  write(state: NetworkState): void {
    mkdirSync(this.#path, { recursive: true, mode: 0o700 });
    const file = join(this.#path, `${state.name}.json`);
    writeFileSync(`${file}.new`, JSON.stringify(state), { mode: 0o600 });
    renameSync(`${file}.new`, file);
  }

  remove(name: string): void {
    rmSync(join(this.#path, `${name}.json`), { force: true });
    if (this.#files().length === 0) rmSync(this.#path, { recursive: true, force: true });
  }

  #files(): string[] {
    try {
      return readdirSync(this.#path).filter((file) => file.endsWith('.json'));
    } catch {
      return [];
    }
  }
}
