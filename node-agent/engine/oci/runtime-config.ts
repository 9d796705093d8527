/**
 * The parts of the OCI runtime specification's `config.json` (1.0.2, 1.1) that the engine writes and
 * reads. Sections are those of config.md and config-linux.md of opencontainers/runtime-spec.
 */
export interface RuntimeConfig {
  /** config.md, "Specification version". */
  ociVersion: string;
  process: RuntimeProcess;
  /** config.md, "Root". */
  root: { path: string; readonly: boolean };
  /** config.md, "Hostname". */
  hostname: string;
  /** config.md, "Mounts": in this order. */
  mounts: RuntimeMount[];
  /** config.md, "Annotations". */
  annotations: Record<string, string>;
  linux: RuntimeLinux;
}

/** config.md, "Process". */
export interface RuntimeProcess {
  terminal: boolean;
  user: { uid: number; gid: number; additionalGids: number[] };
  args: string[];
  env: string[];
  cwd: string;
  capabilities: Record<CapabilitySetName, string[]>;
  rlimits: { type: string; soft: number; hard: number }[];
  noNewPrivileges: boolean;
}

/** capabilities(7); config.md, "Linux Process". */
export const CAPABILITY_SETS = [
  'bounding',
  'effective',
  'inheritable',
  'permitted',
  'ambient',
] as const;
export type CapabilitySetName = (typeof CAPABILITY_SETS)[number];

/** config.md, "Mounts". */
export interface RuntimeMount {
  destination: string;
  type: string;
  source: string;
  options: string[];
}

/** config-linux.md. */
export interface RuntimeLinux {
  /** "Namespaces": without a path a new one. */
  namespaces: { type: string; path?: string }[];
  /** "User namespace mappings". */
  uidMappings: IdMapping[];
  gidMappings: IdMapping[];
  /** "Control groups": below the root of each hierarchy. */
  cgroupsPath: string;
  resources: RuntimeResources;
  /** "Sysctl". */
  sysctl?: Record<string, string>;
  seccomp: SeccompProfile;
  maskedPaths: string[];
  readonlyPaths: string[];
}

export interface IdMapping {
  containerID: number;
  hostID: number;
  size: number;
}

/** config-linux.md, "Control groups": devices, memory, cpu, pids. */
export interface RuntimeResources {
  devices: { allow: boolean; access: string }[];
  memory: { limit: number; swap?: number };
  cpu: { quota: number; period: number; shares?: number };
  pids: { limit: number };
}

/** config-linux.md, "Seccomp". */
export interface SeccompProfile {
  defaultAction: string;
  defaultErrnoRet: number;
  architectures: string[];
  syscalls: SeccompCalls[];
}

export interface SeccompCalls {
  names: string[];
  action: string;
  errnoRet?: number;
  /** All must hold. */
  args?: SeccompArgument[];
}

/** With `SCMP_CMP_MASKED_EQ`: the argument and `value` are `valueTwo`. */
export interface SeccompArgument {
  index: number;
  value: number;
  valueTwo: number;
  op: string;
}
