import type { Log } from '../../lib/telemetry/log.ts';
import type { EngineCgroups } from './cgroup/cgroup.ts';
import type { ContainerCgroup } from './cgroup/container-cgroup.ts';
import { dieAttributes, emitterOf } from './container-events.ts';
import {
  ContainerFolder,
  type ContainerState,
  lastOf,
  listContainerIds,
  type RunningContainer,
} from './container-state.ts';
import type { EngineEventListener } from './engine-event.ts';
import type { ExitFiles } from './exit-files.ts';
import { failpoint } from './failpoints.ts';
import { isSameProcess } from './kernel/process-identity.ts';
import { UIDS_PER_CONTAINER } from './launcher/user-namespaces.ts';
import type { LauncherClient } from './launcher-client.ts';
import { LiveContainer, removeParts } from './live-container.ts';
import type { NetworkSlot } from './network/network-plan.ts';
import type { OciRuntimes } from './oci/runtimes.ts';

export interface AdoptInputs {
  containersDir: string;
  cgroups: EngineCgroups;
  exits: ExitFiles;
  runtimes: OciRuntimes;
  /** Whether this process itself made the container with this id. */
  ownsContainer: (id: string) => boolean;
  /** Whether these cgroups belong to a container or blank of this process. */
  ownsCgroup: (name: string) => boolean;
  /** First host uid of the engine. */
  uidBase: number;
  launcher: () => Promise<LauncherClient>;
  log: Log;
  /** Takes the network slot of a living container, if it has one. */
  claimNetwork: (state: ContainerState) => NetworkSlot | undefined;
  onRemoved: (id: string, uidSlot: number, network: NetworkSlot | undefined) => Promise<void>;
  onEvent: EngineEventListener | undefined;
}

/**
 * Containers of an earlier process that still run, and those that ended meanwhile and left word how.
 * What was never finished, or of which only a cgroup or a folder is left, is removed.
 */
export async function adoptContainers(inputs: AdoptInputs): Promise<LiveContainer[]> {
  const adopted: LiveContainer[] = [];
  const { containersDir, cgroups } = inputs;
  for (const id of listContainerIds(containersDir)) {
    if (inputs.ownsContainer(id)) continue;
    const state = new ContainerFolder(containersDir, id).readState();
    const container = state === undefined ? undefined : adoptOne(inputs, state);
    if (container !== undefined) adopted.push(container);
    else await removeLeftover(inputs, id, state);
    failpoint('adopt.after-one');
  }
  failpoint('adopt.after-containers');
  const used = new Set(adopted.map(({ parts }) => parts.cgroup.name));
  for (const name of cgroups.names()) {
    if (!used.has(name) && !inputs.ownsCgroup(name)) await removeCgroup(inputs, name);
  }
  failpoint('adopt.after-cgroups');
  for (const name of inputs.exits.names()) {
    if (!used.has(name) && !inputs.ownsCgroup(name)) inputs.exits.remove(name);
  }
  return adopted;
}

/** Pid, start time and cgroup together say that it is the same process. */
function isRunning(container: RunningContainer, cgroup: ContainerCgroup): boolean {
  const { pid, startTime } = lastOf(container);
  return isSameProcess(pid, startTime) && cgroup.processes().includes(pid);
}

function adoptOne(inputs: AdoptInputs, state: ContainerState): LiveContainer | undefined {
  const { process, spec, uidSlot } = state;
  const cgroup = inputs.cgroups.open(state.cgroup);
  if (process === undefined) return undefined;
  const hasEnded = inputs.exits.read(state.cgroup) !== undefined;
  if (!hasEnded && !isRunning(process, cgroup)) return undefined;
  const folder = new ContainerFolder(inputs.containersDir, spec.id);
  const network = inputs.claimNetwork(state);
  const container = new LiveContainer({
    spec,
    uidSlot,
    uidBase: inputs.uidBase + uidSlot * UIDS_PER_CONTAINER,
    folder,
    cgroup,
    exits: inputs.exits,
    runtimes: inputs.runtimes,
    ...(network === undefined ? {} : { network }),
    log: inputs.log,
    emit: emitterOf(spec, inputs.onEvent),
    launcher: inputs.launcher,
    onRemoved: () => inputs.onRemoved(spec.id, uidSlot, network),
  });
  container.listen();
  container.adopted(process);
  return container;
}

async function removeLeftover(
  inputs: AdoptInputs,
  id: string,
  state: ContainerState | undefined,
): Promise<void> {
  const folder = new ContainerFolder(inputs.containersDir, id);
  if (state === undefined) return folder.remove();
  failpoint('adopt.leftover.before');
  await removeCgroup(inputs, state.cgroup);
  failpoint('adopt.leftover.after-cgroup');
  try {
    const cgroup = inputs.cgroups.open(state.cgroup);
    const { exits, runtimes } = inputs;
    await removeParts({ spec: state.spec, cgroup, exits, runtimes, folder });
    failpoint('adopt.leftover.after-parts');
    await inputs.onRemoved(id, state.uidSlot, undefined);
    const emit = emitterOf(state.spec, inputs.onEvent);
    if (state.process !== undefined) emit('die', dieAttributes({ oomKilled: false }));
    emit('destroy');
    inputs.log.info({ container: id }, 'leftover container removed');
  } catch (error) {
    inputs.log.warn({ container: id, error: String(error) }, 'leftover container stays');
  }
}

async function removeCgroup(inputs: AdoptInputs, name: string): Promise<void> {
  try {
    const cgroup = inputs.cgroups.open(name);
    await cgroup.kill();
    await cgroup.remove();
  } catch (error) {
    inputs.log.warn({ cgroup: name, error: String(error) }, 'leftover cgroup stays');
  }
}
