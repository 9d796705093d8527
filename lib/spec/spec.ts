/**
 * What a function is: the spec as it is stored, with every default filled in and every unit a
 * number. `lib/spec/file.ts` makes it from a `function.yaml` and flags.
 */
export interface FunctionSpec extends ContainerKeys {
  name: string;
  /** `dockerfile`: the folder's own; `node` and `python`: a generated one. */
  runtime: 'dockerfile' | 'node' | 'python';
  /** Path of the Dockerfile inside the context, for runtime `dockerfile`. */
  dockerfile: string;
  /** Handler module inside the folder, for the runtimes `node` and `python`; empty: found by rule. */
  handler: string;
  buildArgs: Record<string, string>;
  env: Record<string, string>;
  labels: Record<string, string>;
  /** Where a program of the `port` contract listens; `$PORT`. */
  port: number;
  memoryBytes: number;
  cpuMillis: number;
  pids: number;
  /** From the first byte of the request to the first byte of the answer. */
  timeoutMs: number;
  /** From the start of the container until it must listen. */
  startTimeoutMs: number;
  /** Between SIGTERM and SIGKILL. */
  graceMs: number;
  /** Requests at once per instance. */
  concurrency: number;
  scale: ScaleSpec;
}

/**
 * What the containers of a function are given beside memory, cpu and pids. What is absent is the
 * node's default, so that specs and requests from before these keys mean what they meant.
 */
export interface ContainerKeys {
  /** Size of what it may write beside its volumes. */
  diskBytes?: number;
  /** Files and folders that it may write. */
  inodes?: number;
  /** Size of /dev/shm, counted as its memory. */
  shmBytes?: number;
  /** Swap beside the memory. */
  swapBytes?: number;
  /** Share of a busy machine, 1–10000. */
  cpuWeight?: number;
  openFiles?: number;
  /** `CIDR` or `CIDR:PORT`: private networks that it may reach. */
  egress?: string[];
  /** `VOLUME:TARGET[:ro]` or `/PATH:TARGET[:ro]`. */
  volumes?: string[];
  /** Sizes by path. */
  tmpfs?: Record<string, number>;
  /** A named network, whose containers know each other by name. */
  network?: string;
  /** Its names there, beside the function's. */
  aliases?: string[];
  /** Another OCI runtime of the nodes, such as `runc`, which isolates it. */
  ociRuntime?: string;
}

export interface ScaleSpec {
  min: number;
  max: number;
  /** How long an instance is kept without a request, above `min`. */
  idleMs: number;
}

/**
 * How an instance takes requests. `socket`: our guest runner accepts on the inherited listening
 * unix socket (fd 3, LISTEN_FDS=1). `port`: any program that listens on `$PORT` of its address.
 */
export type GuestContract = 'socket' | 'port';
