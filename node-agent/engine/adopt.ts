import type { Log } from '../../lib/telemetry/log.ts';
import type { EngineCgroups } from './cgroup.ts';
import { ContainerFolder, type ContainerState, listContainerIds } from './container-state.ts';
import { LiveContainer, removeParts } from './live-container.ts';
import type { NetworkSlot } from './network-plan.ts';
import { ContainerOutput, StatusLine } from './output.ts';
import { isSameProcess } from './process-identity.ts';

export interface AdoptInputs {
  containersDir: string;
  cgroups: EngineCgroups;
  /** Ids that this process started itself. */
  known: ReadonlySet<string>;
  log: Log;
  /** Takes the slots of a living container. */
  claim: (state: ContainerState) => NetworkSlot | undefined;
  onRemoved: (id: string, uidSlot: number, network: NetworkSlot | undefined) => void;
}

/**
 * Containers of an earlier process that still run. Those that do not, that were never finished, or
 * of which only a cgroup or a folder is left, are removed.
 */
export async function adoptContainers(inputs: AdoptInputs): Promise<LiveContainer[]> {
  const adopted: LiveContainer[] = [];
  const { containersDir, cgroups, known } = inputs;
  for (const id of new Set([...listContainerIds(containersDir), ...cgroups.ids()])) {
    if (known.has(id)) continue;
    const state = new ContainerFolder(containersDir, id).readState();
    const container = state === undefined ? undefined : adoptOne(inputs, id, state);
    if (container !== undefined) adopted.push(container);
    else await removeLeftover(inputs, id, state);
  }
  return adopted;
}

/** Pid, start time and cgroup together say that it is the same process. */
function adoptOne(
  inputs: AdoptInputs,
  id: string,
  state: ContainerState,
): LiveContainer | undefined {
  const { process, spec, uidSlot } = state;
  const cgroup = inputs.cgroups.open(id);
  if (process === undefined || !isSameProcess(process.pid, process.startTime)) return undefined;
  if (!cgroup.processes().includes(process.pid)) return undefined;
  const folder = new ContainerFolder(inputs.containersDir, id);
  const network = inputs.claim(state);
  const container = new LiveContainer({
    spec,
    uidSlot,
    folder,
    cgroup,
    output: new ContainerOutput(folder),
    ...(spec.statusPipe === true ? { status: new StatusLine(folder.status) } : {}),
    ...(network === undefined ? {} : { network }),
    log: inputs.log,
    onRemoved: () => inputs.onRemoved(id, uidSlot, network),
  });
  container.running(process);
  return container;
}

async function removeLeftover(
  inputs: AdoptInputs,
  id: string,
  state: ContainerState | undefined,
): Promise<void> {
  const cgroup = inputs.cgroups.open(id);
  const folder = new ContainerFolder(inputs.containersDir, id);
  try {
    await cgroup.kill();
    await cgroup.remove();
    if (state === undefined) folder.remove();
    else await removeParts({ spec: state.spec, cgroup, folder });
    inputs.log.info({ container: id }, 'leftover container removed');
  } catch (error) {
    inputs.log.warn({ container: id, error: String(error) }, 'leftover container stays');
  }
}
