import { LIMITS } from '../lib/limits.ts';
import type { DemandRecord, InstanceRecord } from '../lib/records.ts';
import type { Load } from './scale.ts';
import type { Memory, World } from './world.ts';

/** A gateway that the store has not heard of may still serve: its leases are believed this long. */
const LEASE_TRUST_MS = 30_000;

/** Names of the gateways whose heartbeat is fresh. */
export function liveGateways(world: World, nowMs: number): Set<string> {
  return new Set(
    world.gateways
      .filter(({ heartbeatAtMs }) => nowMs - heartbeatAtMs <= LIMITS.nodeLostMs)
      .map(({ name }) => name),
  );
}

/** Requests by revision, as the live gateways see them. */
export function loads(world: World, nowMs: number): Map<string, Load> {
  const live = liveGateways(world, nowMs);
  const sums = new Map<string, Load>();
  for (const record of world.demand) {
    const isFresh = nowMs - record.updatedAtMs <= LIMITS.nodeLostMs;
    if (!live.has(record.gateway) && !isFresh) continue;
    const sum = sums.get(record.revisionId) ?? { running: 0, waiting: 0 };
    sums.set(record.revisionId, {
      running: sum.running + record.running,
      waiting: sum.waiting + record.waiting,
    });
  }
  return sums;
}

/** Leases by instance. */
export function leases(world: World, nowMs: number): Map<string, number> {
  const live = liveGateways(world, nowMs);
  const sums = new Map<string, number>();
  for (const record of world.demand) {
    const isTrusted = live.has(record.gateway) || nowMs - record.updatedAtMs <= LEASE_TRUST_MS;
    if (!isTrusted) continue;
    for (const [id, instance] of Object.entries(record.instances)) {
      sums.set(id, (sums.get(id) ?? 0) + instance.leases);
    }
  }
  return sums;
}

/**
 * When each instance was last active. What a gateway told once is remembered, as a gateway takes
 * its records along when it stops; what no instance needs any more is dropped.
 */
export function activity(
  world: World,
  memory: Pick<Memory, 'activeAtMs'>,
  nowMs: number,
): Map<string, number> {
  const held = leases(world, nowMs);
  const told = toldIdleSinceMs(world.demand);
  const next = new Map<string, number>();
  for (const { id, readyAtMs } of world.instances) {
    const times = [readyAtMs, memory.activeAtMs.get(id) ?? 0, told.get(id) ?? 0];
    next.set(id, (held.get(id) ?? 0) > 0 ? nowMs : Math.min(nowMs, Math.max(...times)));
  }
  return next;
}

function toldIdleSinceMs(demand: readonly DemandRecord[]): Map<string, number> {
  const told = new Map<string, number>();
  for (const { instances } of demand) {
    for (const [id, { idleSinceMs }] of Object.entries(instances)) {
      told.set(id, Math.max(told.get(id) ?? 0, idleSinceMs));
    }
  }
  return told;
}

/** Whether an instance counts for its revision: it serves, or can again. */
export function isServing(instance: InstanceRecord): boolean {
  return instance.state !== 'draining' && instance.state !== 'stopped';
}
