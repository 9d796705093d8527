import type { ProcessIdentity } from '../kernel/process-identity.ts';
import type { EnterPlan } from './enter-messages.ts';
import type { UserMount } from './mounts/mount-messages.ts';
import type { RuntimePlan } from './runtime/runtime-messages.ts';

/** What a blank is made from: all of a container that does not depend on what it will run. */
export interface BlankPlan {
  name: string;
  /** An empty host folder; each container covers it in its own mount namespace only. */
  stagingDir: string;
  /** First host uid and gid of the container's range. */
  uidBase: number;
  /** File that gets the raw wait status of its end, 4 bytes. */
  exitFile: string;
  /** cgroup folders to join, all hierarchies. */
  cgroups: readonly string[];
  /** What it will see of them below /sys/fs/cgroup. */
  cgroupViews: readonly CgroupView[];
}

/** A cgroup folder of the host, shown read-only as /sys/fs/cgroup or, with a name, as a folder of it. */
export interface CgroupView {
  name: string;
  path: string;
}

/** What a blank needs to become one container; decided by the engine. */
export interface StartPlan {
  id: string;
  hostname: string;
  /** Lowest first, absolute host folders with the image's ids. */
  layers: readonly string[];
  upper: UpperPlan;
  /** What the skeleton layer below all others holds: mount points the image may lack. */
  skeleton: readonly SkeletonEntry[];
  files: readonly { target: string; text: string }[];
  binds: readonly { source: string; target: string }[];
  /** What the user mounts, in this order. */
  mounts: readonly UserMount[];
  /** Size of /dev/shm where it is not the default. */
  shmBytes?: number;
  /** First host uid and gid of the container's range. */
  uidBase: number;
  user: { uid: number; gid: number; groups: readonly number[] };
  /** Numbers of the capabilities kept inside the user namespace. */
  capabilities: readonly number[];
  /** Path of a prepared network namespace; absent: a new one with loopback only. */
  netns?: string;
  argv: readonly string[];
  env: readonly string[];
  cwd: string;
  openFiles: number;
  /** FIFOs on the host. */
  stdout: string;
  stderr: string;
  status?: string;
  /** Host path of the listening unix socket to make. */
  listenPath?: string;
}

/**
 * The writable layer: bounded, in memory or in a file that holds an ext4; or a host folder that stays
 * (`parent/name`).
 */
export type UpperPlan =
  | { kind: 'memory'; bytes: number; inodes: number }
  | { kind: 'disk'; image: string }
  | { kind: 'folder'; parent: string; name: string };

/** A path relative to the root, and what stands there if the image has nothing. */
export interface SkeletonEntry {
  path: string;
  kind: 'folder' | 'file';
  mode: number;
}

/** What a child says when it could not become the program. */
export interface StartFailure {
  step: string;
  /** Errno name, or `ERR` for anything that is not the kernel's refusal. */
  errno: string;
  message: string;
  /** For a failed execve of a file that exists: its `#!` line, if it has one. */
  shebang?: string;
  /** Whether the file that could not be executed exists. */
  found?: boolean;
}

/** The program of a container, and the init above it: the container ends with init. */
export interface ContainerProcess extends ProcessIdentity {
  init: ProcessIdentity;
}

/** How the engine gives a blank its plan without the launcher in between. */
export interface PlanDoor {
  /** Descriptor of the launcher's that takes the plan, and the inode behind it: numbers are used again. */
  fd: number;
  inode: number;
  /** Network with a loopback only that waits for it, if it wants none else. */
  loopback?: string;
}

/** Engine to launcher. `seq` comes back in the answer. */
export type Request =
  | { type: 'blank'; seq: number; blank: BlankPlan }
  | { type: 'start'; seq: number; blank: string; plan: StartPlan }
  /** The blank has its plan from the engine itself; `loopback`: it enters the one that waits for it. */
  | { type: 'planned'; seq: number; blank: string; id: string; loopback: boolean }
  | { type: 'runtime'; seq: number; runtime: RuntimePlan }
  | { type: 'abortRuntime'; seq: number; id: string }
  | { type: 'prepareNetwork'; seq: number; netns: string }
  | ({ type: 'watch'; seq: number; id: string } & ProcessIdentity)
  | { type: 'enter'; seq: number; plan: EnterPlan }
  /** Ends one that is on its way in. */
  | { type: 'cancel'; seq: number; id: string };

/** Launcher to engine. */
export type Report =
  | { type: 'ready' }
  | ({ type: 'started'; seq: number } & ContainerProcess)
  /** A process that was sent into a container does its work there. */
  | ({ type: 'entered'; seq: number } & ProcessIdentity)
  /** It has ended; `status` is its raw wait status. */
  | { type: 'left'; id: string; status: number }
  | { type: 'failed'; seq: number; failure: StartFailure }
  /** `process`: of a blank that is ready, what its container will be. */
  | { type: 'done'; seq: number; process?: ContainerProcess; door?: PlanDoor }
  /** A blank ended before it was used. */
  | { type: 'blankLost'; name: string }
  /** `pid` is the one that was watched; `status`: raw wait status, absent for no child of the launcher's. */
  | { type: 'exited'; id: string; pid: number; status?: number };
