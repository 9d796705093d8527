import { setTimeout as delay } from 'node:timers/promises';
import { HearthError, toHearthError } from '../lib/errors.ts';
import type { RolloutJob } from '../lib/jobs.ts';
import { LIMITS } from '../lib/limits.ts';
import type { NodeRecord, RevisionRecord, RolloutRecord } from '../lib/records.ts';
import type { Store } from '../lib/store/store.ts';
import type { Log } from '../lib/telemetry/log.ts';
import { formatBytes } from '../lib/units.ts';
import { isNodeFault } from '../node-agent/api/node-fault.ts';
import { startRequest } from '../node-agent/api/start-request.ts';
import type { AgentClients } from './agent-client.ts';
import { allowance } from './allowance.ts';
import type { SchedulerMetrics } from './metrics.ts';
import { placeNodes } from './place.ts';
import { decideRollout, type RolloutInput, type RolloutStep } from './rollout-decision.ts';

export interface RolloutParts {
  store: Store;
  agents: AgentClients;
  log: Log;
  metrics: SchedulerMetrics;
}

const NODES_TRIED_MAX = 2;
/** Agents of a platform that is just starting may need this long to appear. */
const NODE_WAIT_MS = 10_000;
const NODE_POLL_MS = 250;
const SAME_NODE_PAUSE_MS = 1_000;

/**
 * Brings a revision to readiness: one instance that answers, on the best node, or a second one when
 * the first node fails. What the function does wrong becomes the record's error; only the
 * platform's own troubles throw, and then the job runs again and finds what the first run left.
 */
export async function rollOut(
  parts: RolloutParts,
  job: RolloutJob,
  signal: AbortSignal,
): Promise<void> {
  const startedMs = performance.now();
  const revision = (await parts.store.get('revision', job.revisionId))?.record;
  if (revision === undefined) {
    parts.log.warn({ revisionId: job.revisionId }, 'rollout of a removed revision skipped');
    return;
  }
  const outcome = await new Rollout(parts, revision, signal).run();
  if (outcome === undefined) return;
  parts.metrics.rollouts.inc({ outcome });
  parts.metrics.rolloutSeconds.observe((performance.now() - startedMs) / 1000);
  parts.log.info({ revisionId: revision.id, outcome }, 'rollout ended');
}

class Rollout {
  readonly #parts: RolloutParts;
  readonly #revision: RevisionRecord;
  readonly #signal: AbortSignal;

  constructor(parts: RolloutParts, revision: RevisionRecord, signal: AbortSignal) {
    this.#parts = parts;
    this.#revision = revision;
    this.#signal = signal;
  }

  /** The outcome for metrics; undefined when there was nothing to do. */
  async run(): Promise<string | undefined> {
    const step = await this.#firstStep();
    if (step.kind === 'done') return undefined;
    try {
      if (step.kind === 'start') await this.#startOn(step.nodes);
      else if (step.kind !== 'ready') throw this.#refusal(step);
    } catch (error) {
      if (this.#signal.aborted || isStoreFault(error)) throw error;
      return await this.#fail(toHearthError(error), step.kind === 'superseded');
    }
    await this.#put({ state: 'ready' });
    return 'ready';
  }

  /** The first step, after waiting a while for the first node of a young platform. */
  async #firstStep(): Promise<RolloutStep> {
    const endMs = performance.now() + NODE_WAIT_MS;
    for (;;) {
      const step = decideRollout(await this.#input());
      if (step.kind !== 'no-node' || performance.now() >= endMs) return step;
      await delay(NODE_POLL_MS, undefined, { signal: this.#signal });
    }
  }

  async #input(): Promise<RolloutInput> {
    const { store } = this.#parts;
    const { id, functionName } = this.#revision;
    return {
      functionRecord: (await store.get('function', functionName))?.record,
      revision: this.#revision,
      rollout: (await store.get('rollout', id))?.record,
      instances: (await store.list('instance')).map(({ record }) => record),
      nodes: await this.#liveNodes(),
    };
  }

  async #liveNodes(): Promise<NodeRecord[]> {
    const nodes = (await this.#parts.store.list('node')).map(({ record }) => record);
    return nodes.filter(({ heartbeatAtMs }) => Date.now() - heartbeatAtMs <= LIMITS.nodeLostMs);
  }

  async #startOn(nodes: readonly NodeRecord[]): Promise<void> {
    const tried = triedNodes(nodes);
    for (const [at, node] of tried.entries()) {
      await this.#put({ state: 'starting' });
      await this.#tell(node);
      try {
        const request = startRequest(this.#revision, 'rollout');
        await this.#parts.agents.start(node, request, this.#signal);
        return;
      } catch (error) {
        const next = tried[at + 1];
        if (this.#signal.aborted || next === undefined) throw error;
        if (!isNodeFault(toHearthError(error))) throw error;
        this.#parts.log.warn({ node: node.name, err: error }, 'start failed, trying once more');
        if (next === node) await delay(SAME_NODE_PAUSE_MS, undefined, { signal: this.#signal });
      }
    }
  }

  async #tell(node: NodeRecord): Promise<void> {
    const { buildId, id } = this.#revision;
    const event = { type: 'starting', revisionId: id, node: node.name } as const;
    await this.#parts.store.appendDeployEvent(buildId, event);
  }

  #refusal(step: Exclude<RolloutStep, { kind: 'done' | 'ready' | 'start' }>): HearthError {
    const { functionName, generation, spec } = this.#revision;
    if (step.kind === 'superseded') {
      return new HearthError(
        'Conflict',
        `deploy ${generation} of "${functionName}" was overtaken by deploy ${step.byGeneration}`,
        { hint: 'nothing to do: the later deploy counts' },
      );
    }
    if (step.kind === 'no-node') {
      return new HearthError('NoCapacity', `cannot start "${functionName}": no node is alive`, {
        hint: 'check that a node agent runs',
      });
    }
    return new HearthError(
      'NoCapacity',
      `cannot start "${functionName}": no node has ${formatBytes(spec.memoryBytes)} of memory free`,
      { hint: 'lower the memory of the function, stop other functions, or add a node' },
    );
  }

  async #fail(error: HearthError, isSuperseded: boolean): Promise<string> {
    await this.#put({ state: 'failed', error: error.toBody() });
    // Gateways end only the newest deploy; nobody else tells the followers of an overtaken one.
    if (isSuperseded) {
      const event = { type: 'failed', error: error.toBody() } as const;
      await this.#parts.store.appendDeployEvent(this.#revision.buildId, event);
    }
    return error.code;
  }

  async #put(change: Pick<RolloutRecord, 'state' | 'error'>): Promise<void> {
    const { store } = this.#parts;
    const { id: revisionId, functionName, spec } = this.#revision;
    const stored = await store.get('rollout', revisionId);
    // Two runs of the same job may meet, after a stall: the first end counts.
    if (stored !== undefined && stored.record.state !== 'starting') return;
    const nodes = change.state === 'ready' ? await this.#allowance() : [];
    const desired = change.state === 'ready' ? spec.scale.min : 0;
    const record = { revisionId, functionName, nodes, desired, updatedAtMs: Date.now() };
    try {
      await store.put(
        'rollout',
        revisionId,
        { ...record, ...change },
        {
          expectVersion: stored?.version ?? 0,
        },
      );
    } catch (error) {
      if (!(error instanceof HearthError) || error.code !== 'Conflict') throw error;
    }
  }

  async #allowance(): Promise<string[]> {
    const { id, spec } = this.#revision;
    const instances = (await this.#parts.store.list('instance')).map(({ record }) => record);
    // The node that has it now comes first: its image is there.
    const known = instances.filter((one) => one.revisionId === id).map(({ node }) => node);
    const places = placeNodes(await this.#liveNodes(), instances, id);
    return allowance(places, { memoryBytes: spec.memoryBytes }, known);
  }
}

/** The best two nodes; the only one twice, as its agent may just be restarting. */
function triedNodes(nodes: readonly NodeRecord[]): NodeRecord[] {
  const tried = nodes.slice(0, NODES_TRIED_MAX);
  const only = tried.length === 1 ? tried[0] : undefined;
  return only === undefined ? tried : [only, only];
}

function isStoreFault(error: unknown): boolean {
  return error instanceof HearthError && error.code === 'StoreUnavailable';
}
