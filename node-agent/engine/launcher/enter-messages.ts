import type { ProcessIdentity } from '../kernel/process-identity.ts';

/** A further process in a container that runs; decided by the engine. */
export interface EnterPlan {
  /** `[0-9a-f]{16}`, unique. */
  id: string;
  /** The container's program: its namespaces are the ones to enter. */
  target: ProcessIdentity;
  /** cgroup folders to join, all hierarchies. */
  cgroups: readonly string[];
  user: { uid: number; gid: number; groups: readonly number[] };
  /** Numbers of the capabilities kept; never more than the container's program may have. */
  capabilities: readonly number[];
  openFiles: number;
  /** Whether the container was given a listening socket: its filter is then the stricter one. */
  listener: boolean;
  /** Whose descriptors `work` names: the engine's own pid. */
  enginePid: number;
  work: ProgramWork | FileWork;
}

/** A descriptor of the engine's, to be opened again as /proc/PID/fd/N. */
export interface EngineFile {
  fd: number;
  /** Of the file: the number may mean another one by the time it is opened. */
  device: number;
  inode: number;
}

/** Executes a program, in the container's pid namespace too. */
export interface ProgramWork {
  kind: 'program';
  argv: readonly string[];
  env: readonly string[];
  cwd: string;
  /** What becomes 0, 1, 2; without `stdin`, 0 is /dev/null. */
  streams:
    | { stdin?: EngineFile; stdout: EngineFile; stderr: EngineFile }
    | { terminal: EngineFile };
}

/** Serves files, seen by nobody inside, and executes nothing. */
export interface FileWork {
  kind: 'files';
  /** What comes in, and where the answer goes. */
  input: EngineFile;
  output: EngineFile;
  task: FileTask;
}

/** Paths are absolute, normal, and resolved inside the container's root. */
export type FileTask =
  /** Answers the entry at `path` only. */
  | { action: 'stat'; path: string; follow: boolean }
  /** Answers `path` and all below it, with the bytes of files. */
  | { action: 'read'; path: string; follow: boolean }
  /** Makes what comes in below the folder `path`. */
  | { action: 'write'; path: string; keepIds: boolean };
