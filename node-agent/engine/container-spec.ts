/**
 * What the engine is asked to run. Everything is decided before: absolute paths on the host for
 * what the host gives, numbers for limits. The engine refuses what it cannot do; it never guesses.
 */
export interface ContainerSpec {
  /** `[a-z0-9-]{1,64}`, unique within the engine. */
  id: string;
  hostname: string;
  /** What events and lists say of it: `hearth.function`, a user's own. Never a secret. */
  labels?: Readonly<Record<string, string>>;
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
  /**
   * `none`: loopback only. `bridge`: the engine's own network, on which containers do not see each
   * other. Else the name of a network made by `Engine.networks`, whose containers reach each other
   * by name.
   */
  network: string;
  /** Further names on a named network, beside the hostname. */
  aliases?: readonly string[];
  /** What it may reach although it is a private network. */
  egress?: readonly EgressRule[];
  /** Ports of this host that lead to it. */
  ports?: readonly PublishedPort[];
  /** What a user mounts over the root file system, in this order. */
  mounts?: readonly ContainerMount[];
  /** Name of another OCI runtime of `EngineOptions.runtimes`, which then isolates it. */
  ociRuntime?: string;
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

/** A private network (CIDR) that one container may reach; without `port`, every port of it. */
export interface EgressRule {
  cidr: string;
  port?: number;
}

/** A port of the host that leads to one of the container's. */
export interface PublishedPort {
  /** Address of the host, such as `0.0.0.0` or `127.0.0.1`. */
  hostAddress: string;
  /** 0 takes a free one, which `Container.ports` names. */
  hostPort: number;
  containerPort: number;
  protocol: 'tcp' | 'udp';
}

/** What stands at `target`, an absolute path inside. Absent `readOnly` means that it can be written. */
export type ContainerMount =
  | { kind: 'volume'; volume: string; target: string; readOnly?: boolean }
  /** `source` must lie in one of `EngineOptions.bindPaths`. */
  | { kind: 'bind'; source: string; target: string; readOnly?: boolean }
  | { kind: 'tmpfs'; target: string; sizeBytes: number };

export interface ContainerResources {
  memoryBytes: number;
  /** Swap beside the memory; default 0. */
  swapBytes?: number;
  /** Hard limit: 1000 are one core. */
  cpuMillis: number;
  /** Share of a busy machine, 1–10000 as in cgroup v2; default 100. */
  cpuWeight?: number;
  pids: number;
  openFiles: number;
  /** Size of the writable layer, and of its number of files and folders. */
  diskBytes: number;
  inodes?: number;
  /** Where the writable layer is: `memory` (default; counted as the container's) or `disk`. */
  writable?: 'memory' | 'disk';
  /** Size of /dev/shm; default 64 MiB, counted as the container's memory. */
  shmBytes?: number;
}

/** How a container ended. */
export interface ExitStatus {
  /** 0–255 of an exit; absent when a signal ended it, or when neither its init nor anybody else could say. */
  code?: number;
  signal?: number;
  oomKilled: boolean;
  /** Of one that ran out of it; peak 0 where the kernel does not keep it. */
  memory?: { limitBytes: number; peakBytes: number };
  /** Set when the program was never executed: errno name of execve or the failed step. */
  startError?: { step: string; errno: string; message: string };
}
