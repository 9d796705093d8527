/** A host folder or file that a user mounts: an allowed folder, then a path beneath it. */
export interface HostMount {
  kind: 'host';
  /** What errors call it. */
  title: string;
  /** Canonical host path of the allowed folder. */
  root: string;
  /** Empty for that folder itself. */
  path: string;
  /** Absolute path inside. */
  target: string;
  readOnly: boolean;
  /** Whether it gets the image's files at its target if it is empty. */
  fill: boolean;
}

/** A file system in memory that goes with the container. */
export interface TmpfsMount {
  kind: 'tmpfs';
  title: string;
  target: string;
  sizeBytes: number;
  inodes: number;
}

/** What a user mounts over the root. */
export type UserMount = HostMount | TmpfsMount;
