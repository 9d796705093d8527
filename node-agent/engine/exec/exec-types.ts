import type { Readable, Writable } from 'node:stream';
import type { ExecExit } from '../../../lib/container-api.ts';

export type { ExecExit, PathStat } from '../../../lib/container-api.ts';

/** A further program in a container that runs. */
export interface ExecSpec {
  argv: readonly string[];
  /** `NAME=value`, over the container's own. */
  env?: readonly string[];
  /** Default: the container's. */
  cwd?: string;
  /** Default: the container's. */
  user?: { uid: number; gid: number; groups: readonly number[] };
  /** Keeps stdin open; else it is /dev/null. */
  stdin?: boolean;
  /** A terminal of its own; stderr then comes by stdout. */
  tty?: { rows: number; columns: number };
}

/** A program that was executed in a container. It ends with the container at the latest. */
export interface ExecProcess {
  /** `[0-9a-f]{16}`. */
  readonly id: string;
  /** Process id in the host's pid namespace. */
  readonly pid: number;
  readonly stdin: Writable | undefined;
  readonly stdout: Readable;
  /** Ends at once with a terminal. */
  readonly stderr: Readable;
  readonly exited: Promise<ExecExit>;
  /** Of its terminal. */
  resize(rows: number, columns: number): void;
  signal(signal: NodeJS.Signals): void;
}

export interface CopyInOptions {
  /** Keeps the archive's owners; else all belongs to the container's uid 0. */
  keepIds?: boolean;
}
