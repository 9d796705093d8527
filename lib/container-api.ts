import type { ImageRef } from './records.ts';

/**
 * Containers over HTTP: those a user runs by hand, and the instances of functions, which are
 * containers too. An id in a path is a container's id, its name, or an unambiguous start of its id.
 */

/** `POST /v1/containers`: makes and starts one; answers 201 with its ContainerInfo. */
export interface RunContainerRequest {
  /** `[a-z0-9][a-z0-9-]{0,62}`; absent: made up. Its name on a named network, too. */
  name?: string;
  /** An image of the platform's registry: by digest, or `REPOSITORY:TAG`, `REPOSITORY@DIGEST`. */
  image: ImageRef | string;
  /** Replaces the image's Cmd. */
  command?: string[];
  /** Replaces the image's Entrypoint. */
  entrypoint?: string[];
  env?: Record<string, string>;
  workingDir?: string;
  /** As the Dockerfile's USER. */
  user?: string;
  hostname?: string;
  labels?: Record<string, string>;
  /** `bridge` (default), `none`, or a network's name. */
  network?: string;
  aliases?: string[];
  /** `CIDR` or `CIDR:PORT`: private networks that it may reach. */
  egress?: string[];
  /** `[ADDRESS:]HOSTPORT:PORT[/PROTOCOL]`, as `docker run -p`. */
  ports?: string[];
  /** `VOLUME:TARGET[:ro]`, `/PATH:TARGET[:ro]`, as `docker run -v`. */
  volumes?: string[];
  /** Sizes by path: `{"/run": 16777216}`. */
  tmpfs?: Record<string, number>;
  memoryBytes?: number;
  swapBytes?: number;
  cpuMillis?: number;
  cpuWeight?: number;
  pids?: number;
  openFiles?: number;
  diskBytes?: number;
  inodes?: number;
  shmBytes?: number;
  /** Another OCI runtime of this node, such as `runc`. */
  ociRuntime?: string;
  /** Removed when it ends, with its logs. */
  autoRemove?: boolean;
}

export type ContainerPhase = 'running' | 'paused' | 'exited';

/** `GET /v1/containers/:id`, and each of `GET /v1/containers` (`{containers: []}`, newest first). */
export interface ContainerInfo {
  id: string;
  name: string;
  /** The node's. */
  node: string;
  /** As it was asked for. */
  image: string;
  imageDigest: string;
  command: string[];
  labels: Record<string, string>;
  state: ContainerPhase;
  /** Set for an instance of a function. */
  functionName?: string;
  revisionId?: string;
  network: string;
  address?: string;
  ports: { hostAddress: string; hostPort: number; containerPort: number; protocol: string }[];
  mounts: { kind: string; source: string; target: string; readOnly: boolean }[];
  ociRuntime?: string;
  memoryBytes: number;
  cpuMillis: number;
  pids: number;
  createdAtMs: number;
  startedAtMs: number;
  endedAtMs?: number;
  /** Of one that has ended; neither is set when nobody could wait for it. */
  exitCode?: number;
  signal?: number;
  oomKilled?: boolean;
}

/**
 * `POST /v1/containers/:id/exec`: runs a program in it. The request's body is its stdin when `stdin`
 * is asked for; this object comes as JSON, base64url, in the header `hearth-exec`. The answer's
 * headers come when the program runs; `hearth-exec-id` among them is what resize takes. Its
 * body is frames of output as Docker's streams have them: 1 byte stream (1 stdout, 2 stderr, 3 the
 * end, whose payload is ExecExit as JSON), 3 bytes 0, 4 bytes length (big endian), payload.
 */
export interface ExecRequest {
  command: string[];
  env?: Record<string, string>;
  workingDir?: string;
  user?: string;
  stdin?: boolean;
  tty?: { rows: number; columns: number };
}

/** `POST /v1/execs/:id/resize`. 204. */
export interface ResizeRequest {
  rows: number;
  columns: number;
}

/**
 * Further paths of a container:
 * `POST …/stop?graceMs=` (answers when it has ended), `POST …/kill?signal=`, `POST …/pause`,
 * `POST …/unpause`, `DELETE …?force=1` (204), `GET …/wait` (ContainerInfo once it has ended),
 * `GET …/logs?tail=N|all&follow=1&sinceMs=` (NDJSON of LogLine), `GET …/stats?stream=1` (ContainerStats, or NDJSON one a
 * second), `HEAD|GET …/archive?path=` (tar; header `hearth-path-stat`: PathStat as JSON, base64url),
 * `PUT …/archive?path=FOLDER[&keepIds=1]` (tar as body; 204). Stop, kill, pause and unpause answer
 * ContainerInfo.
 */

/** `GET /v1/volumes` `{volumes: []}`, `POST /v1/volumes`, `GET|DELETE /v1/volumes/:name`. */
export interface VolumeInfo {
  name: string;
  labels: Record<string, string>;
  createdAtMs: number;
  /** Ids of containers that have it mounted. */
  usedBy: string[];
}

export interface CreateVolumeRequest {
  name?: string;
  labels?: Record<string, string>;
}

/** `GET /v1/networks` `{networks: []}`, `POST /v1/networks`, `GET|DELETE /v1/networks/:name`. */
export interface NetworkInfo {
  name: string;
  subnet: string;
  gateway: string;
  /** Without a way out of the network. */
  internal: boolean;
  labels: Record<string, string>;
  createdAtMs: number;
  containers: { id: string; name: string; address: string }[];
}

export interface CreateNetworkRequest {
  name: string;
  /** Default: a free part of the node's own. */
  subnet?: string;
  internal?: boolean;
  labels?: Record<string, string>;
}

/**
 * `GET /v1/events?follow=1&since=SEQ&action=A,B&id=ID|NAME&function=`: NDJSON, oldest first. `seq` rises by one
 * within one run of the agent (`epoch`), so that a reader sees a gap.
 */
export interface EventInfo {
  epoch: string;
  seq: number;
  node: string;
  timeMs: number;
  /** See engine/engine-event.ts. */
  action: string;
  id: string;
  name: string;
  functionName?: string;
  revisionId?: string;
  labels: Record<string, string>;
  attributes: Record<string, string | number | boolean>;
}

/** How a program in a container ended. */
export interface ExecExit {
  code?: number;
  signal?: number;
}

/** What stands at a path in a container. */
export interface PathStat {
  name: string;
  sizeBytes: number;
  /** With the type's bits, as stat(2) has them. */
  mode: number;
  mtimeMs: number;
  /** Of a link; else empty. */
  linkTarget: string;
}

/** What a container uses, from its cgroups and its link; counters begin at its start. */
export interface ContainerStats {
  timeMs: number;
  cpu: {
    /** Nanoseconds of cpu time. */
    usageNs: number;
    userNs: number;
    systemNs: number;
    /** Periods in which it was held back by its limit, and for how long together. */
    throttledPeriods: number;
    throttledNs: number;
    limitMillis: number;
  };
  memory: {
    currentBytes: number;
    /** 0 where the kernel does not keep it. */
    peakBytes: number;
    limitBytes: number;
    /** Page cache that goes first when memory is short. */
    inactiveFileBytes: number;
    oomKills: number;
  };
  pids: { current: number; limit: number };
  /** Absent without a network. */
  network?: {
    receivedBytes: number;
    sentBytes: number;
    receivedPackets: number;
    sentPackets: number;
  };
}
