import { setTimeout as delay } from 'node:timers/promises';
import { HearthError, toHearthError } from '../../lib/errors.ts';
import { newId } from '../../lib/ids.ts';
import { LIMITS } from '../../lib/limits.ts';
import type { InstanceEndpoint, InstanceRecord } from '../../lib/records.ts';
import type { Log } from '../../lib/telemetry/log.ts';
import { type AgentMetrics, observePhases } from '../agent-metrics.ts';
import type { DrainRequest, InstanceStatus, StartInstanceRequest } from '../api/types.ts';
import type { ExitStatus } from '../engine/container-spec.ts';
import type { EngineEventListener } from '../engine/engine-event.ts';
import type { Container } from '../engine/engine-types.ts';
import type { ContainerLog } from '../logs/container-log.ts';
import type { Logs } from '../logs/logs.ts';
import type { InstanceFiles } from '../state/instance-files.ts';
import type { RecordWriter } from '../state/record-writer.ts';
import { type Demand, sumOf } from './admission.ts';
import { drainInstance } from './drain-instance.ts';
import { endInstance } from './end-instance.ts';
import { EndedInstances } from './ended-instances.ts';
import type { Expose } from './exposure.ts';
import { Instance } from './instance.ts';
import { shuttingDown, storageFault } from './node-faults.ts';
import {
  discard,
  type StartedContainer,
  type StartParts,
  socketPathOf,
  startContainer,
} from './start-container.ts';

export interface InstancesOptions extends StartParts {
  node: string;
  logs: Logs;
  records: RecordWriter;
  files: InstanceFiles;
  metrics: AgentMetrics;
  log: Log;
  onEvent: EngineEventListener;
  /** Why no container of this size can be taken now; undefined when it can. */
  refusal(demand: Demand): HearthError | undefined;
  expose: Expose;
  /** Names of the gateways that live now. Rejects while the store is away. */
  liveGateways(): Promise<string[]>;
}

interface Starting extends Demand {
  container?: Container;
}

interface Started extends StartedContainer {
  id: string;
  log: ContainerLog;
  startedAtMs: number;
}

const SAY_MS_MAX = 500;

/** The instances of this node: starts them, watches over them, ends them. */
export class Instances {
  readonly #options: InstancesOptions;
  readonly #starting = new Map<string, Starting>();
  readonly #instances = new Map<string, Instance>();
  readonly #ended = new EndedInstances();
  #stopping = false;

  constructor(options: InstancesOptions) {
    this.#options = options;
  }

  /** Records of all instances that are or were ready. */
  list(): InstanceRecord[] {
    return [...this.#instances.values()].map((instance) => instance.record);
  }

  /** All that run. */
  all(): Instance[] {
    return [...this.#instances.values()];
  }

  /** Starts in progress. */
  get startingCount(): number {
    return this.#starting.size;
  }

  /** What instances and starts in progress were promised. */
  get reserved(): Demand {
    const running = this.all().map(({ container }) => container.spec.resources);
    return sumOf([...this.#starting.values(), ...running]);
  }

  /**
   * Starts an instance; its record says where it takes requests.
   * @throws HearthError as `POST /v1/instances` documents; nothing of it is left then
   */
  async start(request: StartInstanceRequest): Promise<InstanceRecord> {
    const { metrics } = this.#options;
    const { reason } = request;
    try {
      const record = await this.#admitAndStart(request);
      metrics.starts.inc({ reason, outcome: 'ready' });
      observePhases(metrics, record.phases);
      return record;
    } catch (error) {
      const { code } = toHearthError(error);
      metrics.starts.inc({ reason, outcome: code });
      if (code === 'InstanceOOM') metrics.oomKills.inc();
      throw this.#stopping ? shuttingDown() : error;
    }
  }

  /** The record of one that has ended lately. */
  ended(id: string): InstanceRecord | undefined {
    return this.#instances.has(id) ? undefined : this.#ended.get(id)?.record;
  }

  /** What is known of an instance, also of one that ended lately. @throws HearthError NotFound */
  status(id: string): InstanceStatus {
    const instance = this.#instances.get(id);
    if (instance !== undefined) return { record: instance.record };
    const ended = this.#ended.get(id);
    if (ended !== undefined) return ended;
    throw notFound(id);
  }

  /**
   * Ends an instance as soon as no gateway uses it. Returns at once; asked twice it goes on once.
   * @throws HearthError NotFound
   */
  drain(id: string, request: DrainRequest): void {
    const instance = this.#get(id);
    if (!instance.apply('drain')) return;
    instance.log.system(`draining: ${request.reason}`);
    const timeoutMs = request.timeoutMs ?? instance.limits.timeoutMs;
    this.#background(this.#drain(instance, timeoutMs, instance.limits.graceMs), id);
  }

  /** `gateway` holds no lease on it any more. @throws HearthError NotFound */
  released(id: string, gateway: string): void {
    this.#get(id).release(gateway);
  }

  /** Ends an instance without waiting for its requests. @throws HearthError NotFound */
  async kill(id: string): Promise<void> {
    const instance = this.#get(id);
    // Said before it is done, so that nobody takes it for a crash.
    const isNews = instance.apply('drain');
    const said = isNews ? this.#options.records.put(instance.record) : Promise.resolve();
    await Promise.race([said, delay(SAY_MS_MAX, undefined, { ref: false })]);
    await instance.container.kill();
    await instance.gone;
  }

  /** Takes over containers that outlived an earlier process of this agent. */
  async adopt(containers: readonly Container[]): Promise<void> {
    for (const container of containers) await this.#adopt(container);
    await this.#options.files.keepOnly(new Set(this.#instances.keys()));
  }

  /** Refuses new starts and ends every instance within `deadlineMs`. */
  async close(deadlineMs: number): Promise<void> {
    this.#stopping = true;
    const releaseMs = deadlineMs * 0.4;
    const starts = [...this.#starting.values()].map((start) => start.container?.kill());
    const ends = [...this.#instances.values()].map(async (instance) => {
      const graceMs = Math.min(instance.limits.graceMs, deadlineMs - releaseMs);
      if (instance.apply('drain')) await this.#drain(instance, releaseMs, graceMs);
      else await Promise.race([instance.gone, delay(deadlineMs, undefined, { ref: false })]);
      await instance.container.kill();
      await instance.gone;
    });
    await Promise.allSettled([...starts, ...ends]);
  }

  async #admitAndStart(request: StartInstanceRequest): Promise<InstanceRecord> {
    if (this.#stopping) throw shuttingDown();
    const refused = this.#options.refusal(request);
    if (refused !== undefined) throw refused;
    const id = newId('i');
    const starting: Starting = { memoryBytes: request.memoryBytes, pids: request.pids };
    this.#starting.set(id, starting);
    try {
      return await this.#startAdmitted(id, request, starting);
    } finally {
      this.#starting.delete(id);
    }
  }

  async #startAdmitted(
    id: string,
    request: StartInstanceRequest,
    starting: Starting,
  ): Promise<InstanceRecord> {
    const startedAtMs = Date.now();
    const log = this.#options.logs.forInstance(request.functionName, id);
    const started = await startContainer(this.#options, request, {
      id,
      log,
      onContainer: (container) => {
        starting.container = container;
        if (this.#stopping) void container.kill();
      },
    });
    try {
      return await this.#register(request, { ...started, id, log, startedAtMs });
    } catch (error) {
      await discard(started.container, this.#options, error);
      throw storageFault(error);
    }
  }

  /** Makes a container that is ready an instance: exposed, on the disk, watched, recorded. */
  async #register(request: StartInstanceRequest, started: Started): Promise<InstanceRecord> {
    const { image, memoryBytes, graceMs, timeoutMs, contract, port } = request;
    const { id, container, log } = started;
    const limits = { image, memoryBytes, graceMs, timeoutMs, contract, port };
    const exposure = await this.#options.expose(this.#endpointOf(id, request, container));
    const record = this.#recordOf(request, started, exposure.endpoint);
    try {
      this.#options.files.create({ record, limits });
    } catch (error) {
      exposure.close();
      throw error;
    }
    this.#watch(new Instance({ record, limits, container, log, exposure }));
    this.#sayReady(container, record);
    void this.#options.records.put(record);
    return record;
  }

  #sayReady({ id, spec }: Container, { readyAtMs, startedAtMs }: InstanceRecord): void {
    const { labels = {} } = spec;
    const attributes = { afterMs: readyAtMs - startedAtMs };
    this.#options.onEvent({ timeMs: readyAtMs, action: 'ready', id, labels, attributes });
  }

  /** Where the instance itself listens. */
  #endpointOf(
    id: string,
    { contract, port }: Pick<StartInstanceRequest, 'contract' | 'port'>,
    container: Container,
  ): InstanceEndpoint {
    if (contract === 'socket') {
      return { kind: 'unix', path: socketPathOf(this.#options.socketsDir, id) };
    }
    return { kind: 'tcp', host: container.address ?? '', port };
  }

  #recordOf(
    request: StartInstanceRequest,
    started: Started,
    endpoint: InstanceEndpoint,
  ): InstanceRecord {
    const { functionName, revisionId, concurrency, reason } = request;
    const { id, phases, startedAtMs } = started;
    const { node } = this.#options;
    const readyAtMs = Date.now();
    const ready = { state: 'ready' as const, endpoint, phases, startedAtMs, readyAtMs };
    return { id, node, functionName, revisionId, concurrency, reason, ...ready };
  }

  async #adopt(container: Container): Promise<void> {
    const { files, logs, records, log, expose } = this.#options;
    const file = await files.get(container.id);
    if (file === undefined) {
      log.warn({ container: container.id }, 'container without an instance removed');
      await container.kill();
      await container.remove();
      return;
    }
    const instanceLog = logs.forInstance(file.record.functionName, container.id);
    container.onOutput((stream, chunk) => instanceLog.output(stream, chunk));
    const { limits } = file;
    const exposure = await expose(this.#endpointOf(container.id, limits, container));
    const record = { ...file.record, endpoint: exposure.endpoint };
    const instance = new Instance({ record, limits, container, log: instanceLog, exposure });
    instanceLog.adopted(container.missedOutputBytes);
    this.#watch(instance);
    void records.put(instance.record);
    if (instance.state !== 'draining') return;
    const { timeoutMs, graceMs } = instance.limits;
    this.#background(this.#drain(instance, timeoutMs, graceMs), instance.id);
  }

  /** From here on the instance is known, until its process ends. */
  #watch(instance: Instance): void {
    this.#instances.set(instance.id, instance);
    const ended = instance.container.exited.then((exit) => this.#end(instance, exit));
    this.#background(ended, instance.id);
  }

  async #drain(instance: Instance, timeoutMs: number, graceMs: number): Promise<void> {
    const isHere = (): boolean => this.#instances.has(instance.id);
    await drainInstance(this.#options, instance, { timeoutMs, graceMs, isHere });
  }

  /** The process is gone: first nobody may find the instance any more, then its remains go. */
  async #end(instance: Instance, exit: ExitStatus): Promise<void> {
    const wasAsked = instance.state === 'draining';
    instance.apply('exit');
    this.#instances.delete(instance.id);
    this.#ended.put(instance.record);
    await endInstance(this.#options, instance, {
      exit,
      wasAsked,
      onCrash: (error) => this.#ended.put(instance.record, error.toBody()),
    });
  }

  #get(id: string): Instance {
    const instance = this.#instances.get(id);
    if (instance === undefined) throw notFound(id);
    return instance;
  }

  #background(work: Promise<void>, id: string): void {
    work.catch((error: unknown) => {
      this.#options.log.error({ err: error, instance: id }, 'instance not ended cleanly');
    });
  }
}

function notFound(id: string): HearthError {
  const shown = JSON.stringify(id.slice(0, LIMITS.functionNameLengthMax));
  return new HearthError('NotFound', `no instance ${shown} on this node`);
}
