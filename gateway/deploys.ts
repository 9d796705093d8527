import { HearthError } from '../lib/errors.ts';
import { LIMITS } from '../lib/limits.ts';
import type { Change, Store } from '../lib/store/store.ts';
import type { Log } from '../lib/telemetry/log.ts';
import { type DeployDecision, decideDeploy, endDeploy } from './deploy-decision.ts';
import type { Mirror } from './mirror.ts';
import { pruneFunction } from './prune.ts';

export interface DeploysOptions {
  store: Store;
  mirror: Mirror;
  urlOf(functionName: string): string;
  log: Log;
}

const CONFLICTS_MAX = 5;

/**
 * Ends deploys: when the newest revision of a function is ready it takes the traffic; when its
 * build or its start failed, the function says so. All gateways try, the put's version lets one
 * win, and the winner tells the deploy's followers.
 */
export class Deploys {
  readonly #options: DeploysOptions;
  /** Functions being looked at, and whether to look again afterwards. */
  readonly #busy = new Map<string, { again: boolean }>();
  readonly #timer: NodeJS.Timeout;

  constructor(options: DeploysOptions) {
    this.#options = options;
    options.mirror.onChange((change) => this.#follow(change));
    // A put that failed while the store was away is made up for here.
    this.#timer = setInterval(() => this.#checkAll(), LIMITS.reconcileMs * 5);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #follow(change: Change): void {
    if (change.record === undefined) return;
    if (change.kind === 'function') this.#check(change.id);
    else if (change.kind === 'build' || change.kind === 'rollout') {
      this.#check(change.record.functionName);
    }
  }

  #checkAll(): void {
    for (const record of this.#options.mirror.all('function')) this.#check(record.name);
  }

  #check(name: string): void {
    const busy = this.#busy.get(name);
    if (busy !== undefined) busy.again = true;
    else if (this.#decide(name).kind !== 'none') void this.#settle(name);
  }

  #decide(name: string): DeployDecision {
    const { mirror } = this.#options;
    const record = mirror.get('function', name);
    if (record === undefined) return { kind: 'none' };
    const build = mirror.get('build', record.buildId);
    const rollout = mirror.get('rollout', build?.revisionId ?? '');
    return decideDeploy({ record, build, rollout });
  }

  async #settle(name: string): Promise<void> {
    const busy = { again: false };
    this.#busy.set(name, busy);
    try {
      await this.#end(name);
    } catch (error) {
      this.#options.log.warn({ functionName: name, err: error }, 'deploy not ended');
    } finally {
      this.#busy.delete(name);
      if (busy.again) this.#check(name);
    }
  }

  async #end(name: string): Promise<void> {
    const { store, mirror } = this.#options;
    for (let tries = 0; tries < CONFLICTS_MAX; tries++) {
      const stored = await store.get('function', name);
      if (stored === undefined) return;
      const { record, version } = stored;
      const build = mirror.get('build', record.buildId);
      const rollout = mirror.get('rollout', build?.revisionId ?? '');
      const decision = decideDeploy({ record, build, rollout });
      if (decision.kind === 'none') return;
      try {
        await store.put('function', name, endDeploy(record, decision, Date.now()), {
          expectVersion: version,
        });
      } catch (error) {
        if (error instanceof HearthError && error.code === 'Conflict') continue;
        throw error;
      }
      this.#options.log.info({ functionName: name, outcome: decision.kind }, 'deploy ended');
      await this.#announce(record.buildId, name, decision);
      await pruneFunction(store, mirror, name);
      return;
    }
  }

  async #announce(buildId: string, name: string, decision: DeployDecision): Promise<void> {
    const { store, mirror, urlOf } = this.#options;
    if (decision.kind === 'failed' && decision.announce) {
      await store.appendDeployEvent(buildId, { type: 'failed', error: decision.error });
    }
    if (decision.kind !== 'ready') return;
    const createdAtMs = mirror.get('build', buildId)?.createdAtMs ?? Date.now();
    await store.appendDeployEvent(buildId, {
      type: 'ready',
      revisionId: decision.revisionId,
      url: urlOf(name),
      durationMs: Date.now() - createdAtMs,
      startMs: this.#startMs(decision.revisionId),
    });
  }

  /** How long the start of the revision's first instance took. */
  #startMs(revisionId: string): number {
    for (const record of this.#options.mirror.all('instance')) {
      if (record.revisionId === revisionId) return record.phases.totalMs;
    }
    return 0;
  }
}
