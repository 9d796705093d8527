import { availableParallelism, totalmem } from 'node:os';
import type { Config } from '../lib/config.ts';
import type { Daemon } from '../lib/daemon.ts';
import type { NodeRecord } from '../lib/records.ts';
import { readSecret } from '../lib/secrets.ts';
import type { Store } from '../lib/store/store.ts';
import type { Log } from '../lib/telemetry/log.ts';
import { Metrics } from '../lib/telemetry/metrics.ts';
import { VERSION } from '../lib/version.ts';
import { createAgentMetrics } from './agent-metrics.ts';
import { countedImages } from './counted-images.ts';
import type { Engine } from './engine/engine-types.ts';
import { EventLog } from './events/event-log.ts';
import type { ImageStore } from './images/image-store-types.ts';
import { memoryForInstances } from './instances/admission.ts';
import { liveGateways } from './instances/drain.ts';
import { exposureFor } from './instances/exposure.ts';
import { Instances } from './instances/instances.ts';
import { Users } from './instances/users.ts';
import { LogSweep } from './logs/log-sweep.ts';
import { Logs } from './logs/logs.ts';
import { createAgentServer } from './server.ts';
import { type AgentFolders, agentFolders, makeAgentFolders } from './state/folders.ts';
import { Heartbeat } from './state/heartbeat.ts';
import { InstanceFiles } from './state/instance-files.ts';
import { RecordWriter } from './state/record-writer.ts';

/** What an agent stands on. */
export interface AgentParts {
  engine: Engine;
  /** Where the engine says what happens; default: one that hears the agent only. */
  events?: EventLog;
  images: ImageStore;
  store: Store;
  /** Text of the containers' /etc/resolv.conf. */
  resolvConf: string;
  /** How long a stop may take for the instances' requests; default `STOP_MS`. */
  stopMs?: number;
  /** Memory of the machine; default: what the kernel says. */
  nodeMemoryBytes?: number;
}

/** Under a supervisor that ends the whole platform there is nobody to wait for. */
const STOP_MS = 5_000;
const LAST_RECORDS_MS = 1_000;

/** Runs the agent on `parts`, which stay the caller's to close: adopts, serves, beats. */
export async function runAgent(config: Config, log: Log, parts: AgentParts): Promise<Daemon> {
  const folders = agentFolders(config.dataRoot, config.name);
  makeAgentFolders(config.dataRoot, folders);
  const metrics = new Metrics();
  const agentMetrics = createAgentMetrics(metrics);
  const logs = new Logs({
    folder: folders.logs,
    containersFolder: folders.containerLogs,
    log,
    onDropped: (bytes) => agentMetrics.logDroppedBytes.inc(bytes),
  });
  const events = parts.events ?? new EventLog(config.name);
  const records = new RecordWriter(parts.store, log);
  const images = countedImages(parts.images, agentMetrics);
  const memoryBytes = parts.nodeMemoryBytes ?? machineMemoryBytes();
  const memoryForInstancesBytes = memoryForInstances(memoryBytes);
  const instances = new Instances({
    ...instanceParts(config, folders, parts),
    images,
    logs,
    records,
    log,
    metrics: agentMetrics,
    onEvent: events.add,
    memoryForInstancesBytes,
  });
  let address = '';
  const node = (): NodeRecord => nodeRecord(config.name, { address, memoryBytes, instances });
  const token = readSecret(config.dataRoot, 'cluster-token');
  const app = createAgentServer({ instances, images, logs, log, metrics, token, node });
  app.addHook('onRequest', async (request) => {
    if (request.url !== '/metrics') return;
    agentMetrics.memoryForInstancesBytes.set(memoryForInstancesBytes);
    agentMetrics.memoryReservedBytes.set(instances.memoryReservedBytes);
    agentMetrics.recordsWaiting.set(records.waiting);
    agentMetrics.instances.reset();
    agentMetrics.instances.set({ state: 'starting' }, instances.startingCount);
    for (const { state } of instances.list()) agentMetrics.instances.inc({ state });
  });

  await instances.adopt(await parts.engine.adopt());
  const listening = await app.listen({ host: config.host, port: config.port });
  // On 0.0.0.0 nobody is reached by the address that is listened on.
  address = config.advertiseUrl === '' ? listening : config.advertiseUrl;
  const heartbeat = new Heartbeat({
    store: parts.store,
    records,
    log,
    node,
    instances: () => instances.list(),
  });
  heartbeat.start();
  const sweep = new LogSweep({
    folder: folders.logs,
    log,
    functionNames: async () =>
      (await parts.store.list('function')).map(({ record }) => record.name),
  });
  return {
    addresses: { api: listening },
    // The node leaves first, so that nothing new is placed on it while its instances end.
    stop: async () => {
      await heartbeat.stop();
      sweep.stop();
      await instances.close(parts.stopMs ?? STOP_MS);
      await app.close();
      await records.close(LAST_RECORDS_MS);
      await logs.flush();
    },
  };
}

function instanceParts(config: Config, folders: AgentFolders, parts: AgentParts) {
  return {
    node: config.name,
    engine: parts.engine,
    users: new Users(),
    resolvConf: parts.resolvConf,
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

function nodeRecord(
  name: string,
  state: { address: string; memoryBytes: number; instances: Instances },
): NodeRecord {
  return {
    name,
    address: state.address,
    cpuMillis: availableParallelism() * 1000,
    memoryBytes: state.memoryBytes,
    memoryReservedBytes: state.instances.memoryReservedBytes,
    instances: state.instances.list().length + state.instances.startingCount,
    version: VERSION,
    heartbeatAtMs: Date.now(),
  };
}

/** The machine's memory, or what the cgroup of a containerised agent leaves of it. */
function machineMemoryBytes(): number {
  const constrained = process.constrainedMemory();
  return constrained > 0 ? Math.min(totalmem(), constrained) : totalmem();
}
