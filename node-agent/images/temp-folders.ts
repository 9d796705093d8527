import { readFileSync } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { newCallId } from '../../lib/ids.ts';
import { removeTree } from '../../lib/remove-tree.ts';

/** `PID-STARTTIME-…`: the process that owns a folder; its start time tells a reused pid apart. */
const NAME = /^(\d{1,10})-(\d{1,20})-/;

/** Folders of work in progress, each with the name of the process that works in it. */
export class TempFolders {
  readonly #dir: string;
  readonly #owner: string;

  constructor(dir: string) {
    this.#dir = dir;
    this.#owner = `${process.pid}-${startTime(process.pid) ?? 0}`;
  }

  /** Makes the folder of folders, and removes what processes that are gone have left there. */
  async init(): Promise<void> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
    for (const name of await readdir(this.#dir)) {
      if (isOwned(name)) continue;
      await removeTree(join(this.#dir, name));
    }
  }

  /** A path below which nothing is yet. */
  next(): string {
    return join(this.#dir, `${this.#owner}-${newCallId()}`);
  }
}

function isOwned(name: string): boolean {
  const [, pid, started] = NAME.exec(name) ?? [];
  return pid !== undefined && startTime(Number(pid)) === started;
}

/** Field 22 of /proc/PID/stat (proc_pid_stat(5)): ticks after boot; undefined: no such process. */
function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field, the program's name in parentheses, may hold spaces.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}
