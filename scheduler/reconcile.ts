import { setTimeout as delay } from 'node:timers/promises';
import { HearthError, toHearthError } from '../lib/errors.ts';
import type { InstanceRecord } from '../lib/records.ts';
import type { Change, Store } from '../lib/store/store.ts';
import type { Log } from '../lib/telemetry/log.ts';
import { startRequest } from '../node-agent/api/start-request.ts';
import type { AgentAddress, AgentClients } from './agent-client.ts';
import { afterFailure, YOUNG_MS } from './backoff.ts';
import { decide } from './decide.ts';
import { observeDecision, type SchedulerMetrics } from './metrics.ts';
import type { Mirror } from './mirror.ts';
import { type Action, emptyMemory, type Failures, type Memory } from './world.ts';

export interface ReconcileParts {
  store: Store;
  agents: AgentClients;
  mirror: Mirror;
  log: Log;
  metrics: SchedulerMetrics;
  /** Asked before every action: a scheduler that stood still may not be the one any more. */
  isLeader(): boolean;
}

type Start = Extract<Action, { type: 'start' }>;
type Drain = Extract<Action, { type: 'drain' }>;
type Allow = Extract<Action, { type: 'allow' }>;

/** A drain is repeated only when the instance does not say within this that it drains. */
const DRAIN_AGAIN_MS = 5_000;
/** How long the record of a new instance may take to come back through the store. */
const RECORD_MS_MAX = 2_000;
const RECORD_POLL_MS = 50;

/** Compares what is with what should be, and acts on the difference. */
export class Reconciler {
  readonly #parts: ReconcileParts;
  #memory: Memory = emptyMemory(Date.now());
  readonly #failures = new Map<string, Failures>();
  readonly #starting = new Map<string, string[]>();
  /** Instances asked to drain, and until when they are not asked again. */
  readonly #drained = new Map<string, number>();
  readonly #closing = new AbortController();

  constructor(parts: ReconcileParts) {
    this.#parts = parts;
  }

  /** The store was away: heartbeats may be old without their writers being lost. */
  unsteady(): void {
    this.#memory = { ...this.#memory, steadySinceMs: Date.now() };
  }

  /** An instance that ends of itself soon after its start has failed to start. */
  observe(change: Change, before: unknown): void {
    if (change.kind !== 'instance' || change.record !== undefined || before === undefined) return;
    const { state, readyAtMs, revisionId, node } = before as InstanceRecord;
    const isYoung = Date.now() - readyAtMs < YOUNG_MS;
    // A node that leaves takes its instances along; that is no fault of theirs.
    const isNodeThere = this.#parts.mirror.get('node', node) !== undefined;
    if (state === 'ready' && isYoung && isNodeThere) this.#failed(revisionId);
  }

  /** One comparison. Starts go on after it; everything else has been tried when it resolves. */
  async run(): Promise<void> {
    const { mirror, metrics, agents } = this.#parts;
    const mayAct = mirror.isReady && this.#parts.isLeader() && !this.#closing.signal.aborted;
    if (!mayAct) return;
    const end = metrics.reconcileSeconds.startTimer();
    const nowMs = Date.now();
    const world = mirror.world();
    this.#tidy(world.instances, nowMs);
    const memory = { ...this.#memory, failures: this.#failures, starting: this.#starting };
    const decision = decide(world, memory, nowMs);
    this.#memory = { ...this.#memory, ...decision.memory };
    observeDecision(metrics, decision);
    metrics.nodes.set(world.nodes.length);
    await Promise.all(decision.actions.map((action) => this.#act(action, nowMs)));
    await agents.retain(new Set(world.nodes.map(({ address }) => address)));
    end();
  }

  /** Ends the starts under way. */
  close(): void {
    this.#closing.abort(new HearthError('ShuttingDown', 'the scheduler stops'));
  }

  #tidy(instances: readonly InstanceRecord[], nowMs: number): void {
    for (const { revisionId, readyAtMs, state } of instances) {
      if (state === 'ready' && nowMs - readyAtMs >= YOUNG_MS) this.#failures.delete(revisionId);
    }
    for (const revisionId of this.#failures.keys()) {
      if (this.#parts.mirror.get('revision', revisionId) === undefined) {
        this.#failures.delete(revisionId);
      }
    }
    for (const [id, untilMs] of this.#drained) if (untilMs <= nowMs) this.#drained.delete(id);
  }

  async #act(action: Action, nowMs: number): Promise<void> {
    if (!this.#parts.isLeader()) return;
    try {
      if (action.type === 'start') void this.#start(action);
      else if (action.type === 'drain') await this.#drain(action, nowMs);
      else if (action.type === 'allow') await this.#allow(action, nowMs);
      else {
        this.#parts.log.info({ kind: action.kind, id: action.id }, 'record forgotten');
        await this.#parts.store.remove(action.kind, action.id);
      }
    } catch (error) {
      this.#parts.metrics.failures.inc({ action: action.type });
      this.#parts.log.warn({ action, err: error }, 'action failed');
    }
  }

  async #start({ revisionId, node }: Start): Promise<void> {
    const { mirror, agents, log, metrics } = this.#parts;
    const revision = mirror.get('revision', revisionId)?.record;
    if (revision === undefined) return;
    this.#starting.set(revisionId, [...(this.#starting.get(revisionId) ?? []), node]);
    try {
      const request = startRequest(revision, 'scale');
      const signal = this.#closing.signal;
      const instance = await agents.start(this.#address(node), request, signal);
      log.info({ revisionId, node, instanceId: instance.id }, 'instance started');
      await this.#seen(instance.id);
    } catch (error) {
      if (this.#closing.signal.aborted) return;
      metrics.failures.inc({ action: 'start' });
      log.warn({ revisionId, node, err: toHearthError(error) }, 'start failed');
      this.#failed(revisionId);
    } finally {
      const left = [...(this.#starting.get(revisionId) ?? [])];
      left.splice(left.indexOf(node), 1);
      if (left.length === 0) this.#starting.delete(revisionId);
      else this.#starting.set(revisionId, left);
    }
  }

  /** Until its record is in the mirror it would be missed and started once more. */
  async #seen(instanceId: string): Promise<void> {
    const endMs = performance.now() + RECORD_MS_MAX;
    while (performance.now() < endMs && !this.#closing.signal.aborted) {
      if (this.#parts.mirror.get('instance', instanceId) !== undefined) return;
      await delay(RECORD_POLL_MS);
    }
  }

  async #drain({ instanceId, node, reason }: Drain, nowMs: number): Promise<void> {
    if (this.#drained.has(instanceId)) return;
    this.#drained.set(instanceId, nowMs + DRAIN_AGAIN_MS);
    this.#parts.log.info({ instanceId, node, reason }, 'instance drains');
    await this.#parts.agents.drain(this.#address(node), instanceId, { reason });
  }

  async #allow({ revisionId, nodes, desired }: Allow, nowMs: number): Promise<void> {
    const stored = this.#parts.mirror.get('rollout', revisionId);
    if (stored === undefined) return;
    const record = { ...stored.record, nodes, desired, updatedAtMs: nowMs };
    try {
      const { version } = stored;
      await this.#parts.store.put('rollout', revisionId, record, { expectVersion: version });
    } catch (error) {
      // The mirror was behind; the next comparison sees the newer record.
      if (!(error instanceof HearthError) || error.code !== 'Conflict') throw error;
    }
  }

  #failed(revisionId: string): void {
    const failures = afterFailure(this.#failures.get(revisionId), Date.now());
    this.#failures.set(revisionId, failures);
    this.#parts.log.warn({ revisionId, ...failures }, 'starts pause');
  }

  /** @throws HearthError NodeUnavailable */
  #address(name: string): AgentAddress {
    const record = this.#parts.mirror.get('node', name)?.record;
    if (record !== undefined) return { name, address: record.address };
    throw new HearthError('NodeUnavailable', `node "${name}" has no record`);
  }
}
