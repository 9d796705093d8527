import { writeFileSync } from 'node:fs';
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { InstanceRecord } from '../../lib/records.ts';
import type { InstanceLimits } from '../instances/instance.ts';

/** What outlives the agent's process beside the container itself; holds no environment. */
export interface InstanceFile {
  record: InstanceRecord;
  limits: InstanceLimits;
}

/** One JSON file an instance, written when it is ready, replaced as a whole, removed with it. */
export class InstanceFiles {
  readonly #folder: string;

  /** `folder` must exist. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * Writes a new instance's file, at once: a start waits for this. No fsync, as a power loss ends
   * the container too, and one write, as a file cut off counts as none.
   */
  create(file: InstanceFile): void {
    writeFileSync(this.#path(file.record.id), JSON.stringify(file), { mode: 0o600 });
  }

  /** Replaces it as a whole. */
  async put(file: InstanceFile): Promise<void> {
    const path = this.#path(file.record.id);
    await writeFile(`${path}.tmp`, JSON.stringify(file), { mode: 0o600 });
    await rename(`${path}.tmp`, path);
  }

  /** The file of `id`; undefined when there is none that can be read. */
  async get(id: string): Promise<InstanceFile | undefined> {
    try {
      const parsed = JSON.parse(await readFile(this.#path(id), 'utf8')) as InstanceFile;
      return parsed.record?.id === id ? parsed : undefined;
    } catch {
      return undefined;
    }
  }

  async remove(id: string): Promise<void> {
    await rm(this.#path(id), { force: true });
  }

  /** Removes every file that is not of `ids`. */
  async keepOnly(ids: ReadonlySet<string>): Promise<void> {
    for (const name of await readdir(this.#folder)) {
      if (ids.has(name.replace(/\.json$/, ''))) continue;
      await rm(join(this.#folder, name), { force: true });
    }
  }

  #path(id: string): string {
    return join(this.#folder, `${id}.json`);
  }
}
