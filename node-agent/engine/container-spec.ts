/**
 * What the engine is asked to run. Everything is decided before: absolute paths on the host for
 * what the host gives, numbers for limits. The engine refuses what it cannot do; it never guesses.
 */
export interface ContainerSpec {
  /** `[a-z0-9-]{1,64}`, unique within the engine. */
  id: string;
  hostname: string;
  /** Unpacked layers, lowest first: absolute host folders, owned as in the image (uid 0 is 0). */
  layers: readonly string[];
  /**
   * Writable layer: absent, a fresh one that goes with the container. For a build step: a host
   * folder that stays, whose files carry the image's ids and overlay's whiteouts.
   */
  upperDir?: string;
  argv: readonly string[];
  /** `NAME=value`. */
  env: readonly string[];
  cwd: string;
  user: { uid: number; gid: number; groups: readonly number[] };
  /** Kept capabilities (`CAP_CHOWN` …) inside the container's user namespace; functions: none. */
  capabilities: readonly string[];
  resources: ContainerResources;
  network: 'none' | 'bridge';
  /** A listening unix socket made on the host at this path, given as fd 3 with LISTEN_FDS=1. */
  listenPath?: string;
  /**
   * With true, fd 4 (3 without listenPath) is a pipe on which the guest says one line when it is
   * ready: `HEARTH_STATUS_FD` names it. The line arrives as `Container.status`.
   */
  statusPipe?: boolean;
  /** Text files put over the root file system, read-only: `/etc/hosts`, `/etc/resolv.conf`. */
  files?: Readonly<Record<string, string>>;
  /** Read-only binds of host folders that belong to the platform (never user-given). */
  binds?: readonly { source: string; target: string }[];
}

export interface ContainerResources {
  memoryBytes: number;
  cpuMillis: number;
  pids: number;
  tmpBytes: number;
  openFiles: number;
}

/** How a container ended. */
export interface ExitStatus {
  /** 0–255 of an exit; absent when a signal ended it, or when nobody could wait for it (adopted). */
  code?: number;
  signal?: number;
  oomKilled: boolean;
  /** Set when the program was never executed: errno name of execve or the failed step. */
  startError?: { step: string; errno: string; message: string };
}
