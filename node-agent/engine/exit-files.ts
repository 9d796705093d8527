import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const STATUS_BYTES = 4;

/**
 * How containers ended, one file each, named as its cgroups. Init writes it (`launcher/init-code.ts`),
 * so it is known also of a container that ended while neither agent nor launcher was there.
 */
export class ExitFiles {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /** Raw wait status of the program (wait(2)); undefined while it runs, and if init was killed. */
  read(name: string): number | undefined {
    try {
      const bytes = readFileSync(this.path(name));
      return bytes.length < STATUS_BYTES ? undefined : bytes.readInt32LE(0);
    } catch {
      return undefined;
    }
  }

  remove(name: string): void {
    rmSync(this.path(name), { force: true });
  }

  /** Names that have a file. */
  names(): string[] {
    return readdirSync(this.folder);
  }
}
