import { writeFileSync } from 'node:fs';
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ContainerInfo } from '../../lib/container-api.ts';

/** What outlives a container and the agent's process; holds no environment. */
export interface ContainerFile {
  info: ContainerInfo;
  autoRemove: boolean;
  /** What asks it to end, as its image says. */
  stopSignal: NodeJS.Signals;
}

const FILE = /^(c-[0-9a-z]{12})\.json$/;

/** One JSON file a container that a user runs, replaced as a whole, removed with it. */
export class ContainerFiles {
  readonly #folder: string;

  /** `folder` must exist. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Before its start, so that nothing runs that nobody knows. */
  create(file: ContainerFile): void {
    writeFileSync(this.#path(file.info.id), JSON.stringify(file), { mode: 0o600 });
  }

  async put(file: ContainerFile): Promise<void> {
    const path = this.#path(file.info.id);
    try {
      await writeFile(`${path}.tmp`, JSON.stringify(file), { mode: 0o600 });
      await rename(`${path}.tmp`, path);
    } catch (error) {
      await rm(`${path}.tmp`, { force: true });
      throw error;
    }
  }

  async remove(id: string): Promise<void> {
    await rm(this.#path(id), { force: true });
  }

  /** All that can be read; what cannot, such as one cut off by a crash, is removed. */
  async load(): Promise<ContainerFile[]> {
    const files: ContainerFile[] = [];
    for (const name of await readdir(this.#folder)) {
      const id = FILE.exec(name)?.[1];
      const file = id === undefined ? undefined : await this.#read(id);
      if (file !== undefined) files.push(file);
      else await rm(join(this.#folder, name), { force: true });
    }
    return files;
  }

  async #read(id: string): Promise<ContainerFile | undefined> {
    try {
      const file = JSON.parse(await readFile(this.#path(id), 'utf8')) as ContainerFile;
      return file.info?.id === id ? file : undefined;
    } catch {
      return undefined;
    }
  }

  #path(id: string): string {
    return join(this.#folder, `${id}.json`);
  }
}
