import type { CgroupView, StartPlan } from '../messages.ts';

/**
 * A container that another OCI runtime isolates. Its root, files and descriptors are made as for
 * any; the program of the runtime makes the rest.
 */
export interface RuntimePlan {
  start: StartPlan;
  /** An empty host folder that every user may enter; covered in the runtime's own mount namespace. */
  bundleDir: string;
  /** Text of the bundle's config.json, whose root is `root`. */
  config: string;
  /** The runtime's program and its arguments, argv[0] first. */
  program: string;
  argv: readonly string[];
  /** cgroup folders that the container inherits from whoever starts its runtime. */
  cgroups: readonly string[];
  /** What it will see of its cgroups below /sys/fs/cgroup. */
  cgroupViews: readonly CgroupView[];
  /** Where the runtime writes the pid of the container. */
  pidFile: string;
}
