import type { ImageConfig } from '../../lib/oci/types.ts';
import type { Location } from './location.ts';
import type { Origin } from './stages.ts';

/** What to do, in order; everything is decided, no variable is left. */
export interface BuildPlan {
  /** The last one is the image. */
  stages: StagePlan[];
  /** Steps of all stages: each instruction from FROM on is one. */
  steps: number;
  warnings: string[];
}

export interface StagePlan {
  index: number;
  name: string | undefined;
  base: Origin;
  /** The first is the FROM. */
  steps: PlannedStep[];
  /** Of the image that ends here. */
  config: ContainerConfig;
}

export type ContainerConfig = NonNullable<ImageConfig['config']>;

export interface PlannedStep {
  /** Counts from 1 over all stages. */
  step: number;
  /** The instruction on one line, for people. */
  text: string;
  file: string;
  location: Location;
  /** `created_by` in the image's history. */
  createdBy: string;
  action: Action;
}

export type Action =
  | { do: 'base' }
  /** Changes only the image's configuration. */
  | { do: 'config' }
  | { do: 'workdir'; path: string }
  | RunAction
  | CopyAction;

export interface RunAction {
  do: 'run';
  argv: string[];
  /** `NAME=value`: the image's environment and the build arguments declared so far. */
  env: string[];
  cwd: string;
  /** As USER gives it: `name`, `uid`, `name:group`, …; empty: root. */
  user: string;
  network: 'bridge' | 'none';
}

export interface CopyAction {
  do: 'copy';
  from: { kind: 'context' } | Exclude<Origin, { kind: 'scratch' }>;
  /** Relative to the root of `from`, cleaned; may hold glob signs. */
  sources: string[];
  /** Files that stand in the Dockerfile itself. */
  inline: { name: string; content: string }[];
  /** Absolute. */
  target: string;
  /** Whether the target was written as a folder: the sources go into it. */
  targetIsFolder: boolean;
  /** `user[:group]`, names or numbers; undefined: 0:0. */
  chown: string | undefined;
  /** Permission bits; undefined: as the source. */
  chmod: number | undefined;
  /** ADD: local tar archives are unpacked. */
  unpacks: boolean;
}
