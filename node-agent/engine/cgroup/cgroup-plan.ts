import { type CgroupFiles, planFiles } from './cgroup-files.ts';
import { type CgroupLayout, hierarchies } from './cgroup-layout.ts';
import type { CgroupWrite } from './cgroup-limits.ts';

/** How the processes of a container can be held. */
export interface FreezerPlan {
  version: 'v1' | 'v2';
  folder: string;
}

/** Where a container's cgroups are, and what can be done to them. */
export interface CgroupPlan {
  folders: readonly string[];
  files: CgroupFiles;
  /** Kills all processes at once when "1" is written; absent without a v2 tree. */
  killFile?: string;
  freezer?: FreezerPlan;
  /** pids.max, which stops forks where nothing kills all at once. */
  forkLimit?: string;
  /** v1: gives back the pages that would keep a removed cgroup in the kernel. */
  emptyFile?: string;
}

/** Folder of an engine below a hierarchy's root. */
export function engineFolder(hierarchy: string, engine: string): string {
  return `${hierarchy}/hearth/${engine}`;
}

/** Folder of one container below a hierarchy's root. */
export function containerFolder(engine: string, name: string): (hierarchy: string) => string {
  return (hierarchy) => `${engineFolder(hierarchy, engine)}/${name}`;
}

/** The cgroups of one container under either version. */
export function planCgroup(layout: CgroupLayout, engine: string, name: string): CgroupPlan {
  const at = containerFolder(engine, name);
  const { v1, v2, version } = layout;
  const freezer = planFreezer(layout, at);
  return {
    folders: hierarchies(layout).map(at),
    files: planFiles(layout, at),
    ...(v2 === undefined ? {} : { killFile: `${at(v2)}/cgroup.kill` }),
    ...(freezer === undefined ? {} : { freezer }),
    ...(v1.pids === undefined ? {} : { forkLimit: `${at(v1.pids)}/pids.max` }),
    ...(version === 'v2' ? {} : { emptyFile: `${at(v1.memory ?? '')}/memory.force_empty` }),
  };
}

/** A v2 tree freezes also where its controllers are v1's, and a kill there ends what is frozen. */
function planFreezer(
  { v1, v2 }: CgroupLayout,
  at: (hierarchy: string) => string,
): FreezerPlan | undefined {
  if (v2 !== undefined) return { version: 'v2', folder: at(v2) };
  return v1.freezer === undefined ? undefined : { version: 'v1', folder: at(v1.freezer) };
}

/** A folder of the engine itself, and what must be written so that those below it are safe. */
export interface EngineFolder {
  path: string;
  writes: readonly CgroupWrite[];
}

/** Folders of the engine itself, outermost first. */
export function planEngineCgroup(layout: CgroupLayout, engine: string): EngineFolder[] {
  if (layout.version === 'v1') {
    return hierarchies(layout).flatMap((root) => {
      const notify = root !== layout.v2;
      return [`${root}/hearth`, engineFolder(root, engine)].map((path) => ({
        path,
        // No program of the host may run when the last process leaves: CVE-2022-0492. Folders below
        // begin with what their parent has
        writes: notify ? [{ path: `${path}/notify_on_release`, value: '0' }] : [],
      }));
    });
  }
  const root = layout.v2 ?? '';
  return [root, `${root}/hearth`, engineFolder(root, engine)].map((path) => ({
    path,
    writes: [{ path: `${path}/cgroup.subtree_control`, value: '+memory +cpu +pids' }],
  }));
}
