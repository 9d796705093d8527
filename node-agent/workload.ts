import type { Config } from '../lib/config.ts';
import type { Log } from '../lib/telemetry/log.ts';
import type { AgentParts } from './agent.ts';
import type { AgentMetrics } from './agent-metrics.ts';
import { ContainerFiles } from './containers/container-files.ts';
import { Containers, isPlain } from './containers/containers.ts';
import { Directory } from './containers/directory.ts';
import { writableLayer } from './containers/writable-layer.ts';
import { countedImages } from './counted-images.ts';
import type { EventLog } from './events/event-log.ts';
import type { ImageStore } from './images/image-store-types.ts';
import { type Demand, memoryForInstances, type NodeLoad, refusal } from './instances/admission.ts';
import { liveGateways } from './instances/drain.ts';
import { exposureFor } from './instances/exposure.ts';
import { Instances } from './instances/instances.ts';
import { Users } from './instances/users.ts';
import { Logs } from './logs/logs.ts';
import type { AgentFolders } from './state/folders.ts';
import { InstanceFiles } from './state/instance-files.ts';
import { RecordWriter } from './state/record-writer.ts';
import { endsSettled } from './state/settled.ts';

/** What runs on a node, and what belongs to it. */
export interface Workload {
  instances: Instances;
  containers: Containers;
  directory: Directory;
  images: ImageStore;
  logs: Logs;
  records: RecordWriter;
  /** What the node has promised; starts under way count. */
  load(): NodeLoad;
}

export interface WorkloadOptions {
  config: Config;
  folders: AgentFolders;
  log: Log;
  metrics: AgentMetrics;
  events: EventLog;
  /** Of the machine. */
  memoryBytes: number;
}

/** Puts instances and containers together, which share the node's memory. */
export function createWorkload(parts: AgentParts, options: WorkloadOptions): Workload {
  const { config, folders, log, metrics, events } = options;
  const logs = new Logs({
    folder: folders.logs,
    containersFolder: folders.containerLogs,
    log,
    onDropped: (bytes) => metrics.logDroppedBytes.inc(bytes),
  });
  const records = new RecordWriter(parts.store, log);
  const images = countedImages(parts.images, metrics);
  const load = (): NodeLoad => ({
    node: config.name,
    instances: instances.all().length + instances.startingCount + containers.liveCount,
    memoryReservedBytes: instances.reserved.memoryBytes + containers.reserved.memoryBytes,
    memoryForInstancesBytes: memoryForInstances(options.memoryBytes),
    pidsReserved: instances.reserved.pids + containers.reserved.pids,
  });
  const shared = {
    node: config.name,
    engine: parts.engine,
    images,
    logs,
    log,
    resolvConf: parts.resolvConf,
    refusal: (demand: Demand) => refusal(load(), demand),
  };
  const instances = new Instances({
    ...shared,
    ...instanceParts(config, folders, parts),
    records,
    metrics,
    onEvent: events.add,
  });
  const containers = new Containers({
    ...shared,
    registry: parts.registry,
    writable: writableLayer(),
    files: new ContainerFiles(folders.containers),
  });
  const directory = new Directory({ containers, instances, node: config.name });
  return { instances, containers, directory, images, logs, records, load };
}

/** Takes over what an earlier process of the agent left. */
export async function adoptWorkload(
  { containers, instances }: Workload,
  { engine }: Pick<AgentParts, 'engine'>,
): Promise<void> {
  const adopted = await engine.adopt();
  await endsSettled(adopted);
  await containers.adopt(adopted.filter(isPlain));
  await instances.adopt(adopted.filter((container) => !isPlain(container)));
}

/** What is measured when somebody looks. */
export function measure(metrics: AgentMetrics, workload: Workload): void {
  const { instances, directory, records } = workload;
  const load = workload.load();
  metrics.memoryForInstancesBytes.set(load.memoryForInstancesBytes);
  metrics.memoryReservedBytes.set(load.memoryReservedBytes);
  metrics.recordsWaiting.set(records.waiting);
  metrics.instances.reset();
  metrics.instances.set({ state: 'starting' }, instances.startingCount);
  for (const { state } of instances.list()) metrics.instances.inc({ state });
  metrics.containers.reset();
  for (const { state } of directory.list()) metrics.containers.inc({ state });
}

function instanceParts(config: Config, folders: AgentFolders, parts: AgentParts) {
  return {
    users: new Users(),
    socketsDir: folders.sockets,
    expose: exposureFor(config.host, config.advertiseUrl),
    files: new InstanceFiles(folders.instances),
    liveGateways: async () => {
      const gateways = await parts.store.list('gateway');
      return liveGateways(
        gateways.map(({ record }) => record),
        Date.now(),
      );
    },
  };
}
