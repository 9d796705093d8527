/**
 * What a function is: the spec as it is stored, with every default filled in and every unit a
 * number. `lib/spec/file.ts` makes it from a `function.yaml` and flags.
 */
export interface FunctionSpec {
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
