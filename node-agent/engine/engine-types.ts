import type { Readable } from 'node:stream';
import type { VolumeInfo } from '../../lib/container-api.ts';
import type { Log } from '../../lib/telemetry/log.ts';
import type { ContainerSpec, ExitStatus, PublishedPort } from './container-spec.ts';
import type { ContainerStats } from './container-stats.ts';
import type { EngineEventListener } from './engine-event.ts';
import type { CopyInOptions, ExecProcess, ExecSpec, PathStat } from './exec/exec-types.ts';
import type { Networks } from './network/network-types.ts';

export interface EngineOptions {
  /** `[a-z0-9]{1,8}`: names the engine's cgroups, bridge, nft table; two engines can share a machine. */
  name: string;
  /** Folder for containers' state; on a file system that can hold overlay's upper layers. */
  stateDir: string;
  /** Network slots take their addresses from here. */
  subnet: string;
  /** First host uid; container n gets `uidBase + n * 65536 …`. */
  uidBase: number;
  log: Log;
  /** Network slots kept ready; default 4. */
  networkSlots?: number;
  /** Forked processes kept ready for the next starts; default 2. Each holds some 5 MB. */
  blanks?: number;
  /** Private networks (CIDR) that containers may reach, such as a company's package registry. */
  allowedNetworks?: readonly string[];
  /**
   * Users of this host that may connect to containers at their addresses, beside root, such as the
   * gateway's; absent: all.
   */
  reachableByUids?: readonly number[];
  /** Host folders that `bind` mounts may come from, with everything below; default none. */
  bindPaths?: readonly string[];
  /** Further folders of the platform's, which no bind mount may show, whatever bindPaths says. */
  ownPaths?: readonly string[];
  /** Other OCI runtimes by name (`runc`), as dockerd's `runtimes`. */
  runtimes?: Readonly<Record<string, { path: string; args?: readonly string[] }>>;
  /** Hears what happens to containers. */
  onEvent?: EngineEventListener;
}

/** Named folders that outlive containers; their files carry the ids that programs see. */
export interface Volumes {
  /**
   * Name `[a-z0-9][a-z0-9_.-]{0,62}`; absent: a random one.
   * @throws HearthError NameInvalid, Conflict when there is one, NodeFull
   */
  create(wanted?: { name?: string; labels?: Readonly<Record<string, string>> }): VolumeInfo;
  list(): VolumeInfo[];
  get(name: string): VolumeInfo | undefined;
  /** With all that is in it. @throws HearthError NotFound, Conflict while a container has it */
  remove(name: string): Promise<void>;
}

/** Starts and ends containers. One per daemon; owns a launcher process. */
export interface Engine {
  readonly networks: Networks;
  readonly volumes: Volumes;
  /**
   * Resolves when the program has been executed.
   * @throws HearthError EntrypointNotFound, ExecFormat, StartFailed, StorageFull, KernelUnsupported
   */
  start(spec: ContainerSpec): Promise<Container>;
  /**
   * Containers that outlived an earlier process of this engine, and those that ended meanwhile: their
   * `exited` says how. Anything half made is removed.
   */
  adopt(): Promise<Container[]>;
  get(id: string): Container | undefined;
  /**
   * Ends the launcher and the network. Containers are killed and removed first, unless
   * `keepContainers`, which leaves them for `adopt` of the next process.
   */
  close(options?: { keepContainers?: boolean }): Promise<void>;
}

export interface Container {
  readonly id: string;
  readonly spec: ContainerSpec;
  /** Process id of its program in the host's pid namespace; inside it is 2, below an init. */
  readonly pid: number;
  /** IPv4 address on its network; none without one. */
  readonly address: string | undefined;
  /** Published ports with their real numbers. */
  readonly ports: readonly PublishedPort[];
  readonly timings: ContainerTimings;
  /** First line of the status pipe; undefined when it closed without one. */
  readonly status: Promise<string | undefined>;
  readonly exited: Promise<ExitStatus>;
  /** Raw output chunks from now on; what came before the first listener waits for it a while. */
  onOutput(listener: (stream: 'stdout' | 'stderr', chunk: Buffer) => void): void;
  /** Of an adopted one: bytes it said while no engine was there, and that nobody could keep. */
  readonly missedOutputBytes?: number;
  /** Sends a signal to the program. */
  signal(signal: NodeJS.Signals): void;
  /** Kills every process of the container and waits for its end. */
  kill(options?: KillOptions): Promise<ExitStatus>;
  /** Removes what is left on the host: cgroups, network slot, folders. After `exited`. */
  remove(): Promise<void>;
  /**
   * Runs a further program in it, in the same sandbox as its own. It ends with the container or with
   * this process at the latest.
   * @throws HearthError BadRequest, Conflict (it does not run, or is paused), NoCapacity,
   * EntrypointNotFound, ExecFormat, StartFailed
   */
  exec(spec: ExecSpec): Promise<ExecProcess>;
  /** What stands at an absolute path; a link itself, unless the path ends with a slash. */
  stat(path: string): Promise<PathStat>;
  /**
   * A path with all below it as an archive rooted at the path's last component, for as long as it
   * runs. Links stay links; devices, FIFOs and sockets are left out.
   * @throws HearthError NotFound, BadRequest, Forbidden, Conflict (it does not run, or is paused)
   */
  copyOut(path: string): Promise<{ stat: PathStat; tar: Readable }>;
  /**
   * Makes the entries of an archive below a folder. Files and links are replaced, folders merged; a
   * folder never takes the place of something else, nor the other way round.
   * @throws HearthError NotFound, BadRequest, Forbidden, Conflict, StorageFull
   */
  copyIn(folder: string, tar: Readable, options?: CopyInOptions): Promise<void>;
  /** Bytes in use and the peak, from the cgroup. */
  memory(): Promise<{ currentBytes: number; peakBytes: number }>;
  /** What it uses. */
  stats(): Promise<ContainerStats>;
  /** Whether its processes are held, as the kernel says. */
  readonly paused: boolean;
  /**
   * Resolves when every process of it stands still; a later SIGTERM, SIGINT or kill lets them go on.
   * @throws HearthError Conflict when it is paused or has ended, KernelUnsupported
   */
  pause(): Promise<void>;
  /** @throws HearthError Conflict when it is not paused */
  resume(): Promise<void>;
}

/** What the event of a kill says besides the signal. */
export interface KillOptions {
  /** It had its time after SIGTERM, and was still there. */
  afterGrace?: boolean;
}

export interface ContainerTimings {
  /** Waiting for the launcher and a network slot. */
  queueMs: number;
  /** cgroup, root file system, namespaces: until the program's execve. */
  spawnMs: number;
}
