import { availableParallelism, totalmem } from 'node:os';
import type { Config } from '../lib/config.ts';
import type { Daemon } from '../lib/daemon.ts';
import type { Registry } from '../lib/oci/registry.ts';
import type { NodeRecord } from '../lib/records.ts';
import { readSecret } from '../lib/secrets.ts';
import type { Store } from '../lib/store/store.ts';
import type { Log } from '../lib/telemetry/log.ts';
import { Metrics } from '../lib/telemetry/metrics.ts';
import { VERSION } from '../lib/version.ts';
import { createAgentMetrics } from './agent-metrics.ts';
import type { Engine } from './engine/engine-types.ts';
import { EventLog } from './events/event-log.ts';
import { NotableEvents } from './events/notable-events.ts';
import type { ImageStore } from './images/image-store-types.ts';
import type { NodeLoad } from './instances/admission.ts';
import { LogSweep } from './logs/log-sweep.ts';
import type { Execs } from './routes/exec-routes.ts';
import { createAgentServer } from './server.ts';
import { agentFolders, makeAgentFolders } from './state/folders.ts';
import { Heartbeat } from './state/heartbeat.ts';
import { adoptWorkload, createWorkload, measure } from './workload.ts';

/** What an agent stands on. */
export interface AgentParts {
  engine: Engine;
  /** Where the engine says what happens; default: one that hears the agent only. */
  events?: EventLog;
  images: ImageStore;
  /** What knows the tags of images; absent: containers name theirs by digest. */
  registry?: Pick<Registry, 'getManifest'>;
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
  const events = parts.events ?? new EventLog(config.name);
  const notable = new NotableEvents();
  events.subscribe(notable.add);
  events.subscribe(({ action }) => agentMetrics.events.inc({ action }));
  const memoryBytes = parts.nodeMemoryBytes ?? machineMemoryBytes();
  const options = { config, folders, log, metrics: agentMetrics, events, memoryBytes };
  const workload = createWorkload(parts, options);
  const { instances, containers, records, logs } = workload;
  let address = '';
  const node = (): NodeRecord => nodeRecord(workload.load(), { address, memoryBytes });
  const token = readSecret(config.dataRoot, 'cluster-token');
  const execs: Execs = new Map();
  const { engine } = parts;
  const shared = { ...workload, engine, execs, events, notable };
  const app = createAgentServer({ ...shared, log, metrics, token, node });
  app.addHook('onRequest', async (request) => {
    if (request.url !== '/metrics') return;
    measure(agentMetrics, workload);
    agentMetrics.execs.set(execs.size);
  });

  await adoptWorkload(workload, parts);
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
      const stopMs = parts.stopMs ?? STOP_MS;
      await Promise.all([instances.close(stopMs), containers.close(stopMs)]);
      await app.close();
      await records.close(LAST_RECORDS_MS);
      await logs.flush();
    },
  };
}

function nodeRecord(
  load: NodeLoad,
  { address, memoryBytes }: { address: string; memoryBytes: number },
): NodeRecord {
  return {
    name: load.node,
    address,
    cpuMillis: availableParallelism() * 1000,
    memoryBytes,
    memoryReservedBytes: load.memoryReservedBytes,
    instances: load.instances,
    version: VERSION,
    heartbeatAtMs: Date.now(),
  };
}

/** The machine's memory, or what the cgroup of a containerised agent leaves of it. */
function machineMemoryBytes(): number {
  const constrained = process.constrainedMemory();
  return constrained > 0 ? Math.min(totalmem(), constrained) : totalmem();
}
