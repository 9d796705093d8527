import type { InstanceRecord, NodeRecord, RevisionRecord, RolloutRecord } from '../lib/records.ts';
import { activity, isServing, leases, liveGateways, loads } from './activity.ts';
import { allowance } from './allowance.ts';
import { forgets, goneNodes, liveNodes } from './lost.ts';
import { type PlaceNode, place, placeNodes } from './place.ts';
import { desiredCount, type Load, pickSurplus } from './scale.ts';
import { type Want, wantedRevisions } from './wanted.ts';
import type { Action, Decision, Memory, World } from './world.ts';

/** Gateways start what a request waits for within this; only then the scheduler adds instances. */
const SHORT_MS = 1_500;
/** Starts of one decision: the next one follows soon. */
const STARTS_MAX = 16;
const NO_LOAD: Load = { running: 0, waiting: 0 };

/** What is to be done about `world` now. Pure: the same world and memory give the same actions. */
export function decide(world: World, memory: Memory, nowMs: number): Decision {
  const scene = sceneOf(world, memory, nowMs);
  const rollouts = new Map(world.rollouts.map((rollout) => [rollout.revisionId, rollout]));
  const decision: Decision = {
    actions: [...forgets(world, memory, nowMs), ...unwanted(world, scene)],
    counts: [],
    unplaced: [],
    memory: {
      goneSinceMs: goneNodes(world, memory, nowMs),
      activeAtMs: scene.activeAtMs,
      shortSinceMs: scene.shortSinceMs,
    },
  };
  for (const revision of world.revisions) {
    const rollout = rollouts.get(revision.id);
    const want = scene.wanted.get(revision.id);
    if (want === undefined || rollout?.state !== 'ready') continue;
    decideRevision({ revision, rollout, want, scene, decision });
  }
  return decision;
}

/** What all revisions are judged by. */
interface Scene {
  world: World;
  memory: Memory;
  nowMs: number;
  wanted: Map<string, Want>;
  nodes: NodeRecord[];
  hasGateway: boolean;
  loads: Map<string, Load>;
  leases: Map<string, number>;
  activeAtMs: Map<string, number>;
  shortSinceMs: Map<string, number>;
  /** Memory promised by the starts of this decision, by node. */
  promisedBytes: Map<string, number>;
}

function sceneOf(world: World, memory: Memory, nowMs: number): Scene {
  return {
    world,
    memory,
    nowMs,
    wanted: wantedRevisions(world),
    nodes: liveNodes(world, memory, nowMs),
    hasGateway: liveGateways(world, nowMs).size > 0,
    loads: loads(world, nowMs),
    leases: leases(world, nowMs),
    activeAtMs: activity(world, memory, nowMs),
    shortSinceMs: new Map(),
    promisedBytes: new Map(),
  };
}

/** Instances of revisions that have no traffic and will get none. */
function unwanted(world: World, scene: Scene): Action[] {
  const live = new Set(scene.nodes.map(({ name }) => name));
  return world.instances
    .filter((instance) => isServing(instance) && live.has(instance.node))
    .filter(({ revisionId }) => !scene.wanted.has(revisionId))
    .map(({ id, node }) => ({ type: 'drain', instanceId: id, node, reason: 'no traffic' }));
}

interface Case {
  revision: RevisionRecord;
  rollout: RolloutRecord;
  want: Want;
  scene: Scene;
  decision: Decision;
}

function decideRevision(one: Case): void {
  const { revision, want, scene, decision } = one;
  const instances = scene.world.instances.filter(
    (instance) => instance.revisionId === revision.id && isServing(instance),
  );
  const load = scene.loads.get(revision.id) ?? NO_LOAD;
  const desired = want === 'serving' ? desiredCount(load, revision.spec) : 0;
  const actual = instances.length + startingOf(scene, revision.id).length;
  const { functionName, id: revisionId } = revision;
  decision.counts.push({ functionName, revisionId, desired, actual: instances.length });
  decision.actions.push(...stops(one, instances, desired));
  const missing = missingNow(one, { desired, actual });
  for (let count = 0; count < missing; count += 1) start(one);
  decision.actions.push(...allow(one, desired));
}

/** Idle instances above the desired count; none while no gateway could say what it leases. */
function stops({ revision, scene }: Case, instances: InstanceRecord[], desired: number): Action[] {
  if (!scene.hasGateway) return [];
  const candidates = instances.map(({ id, readyAtMs }) => ({
    id,
    leases: scene.leases.get(id) ?? 0,
    activeAtMs: scene.activeAtMs.get(id) ?? readyAtMs,
  }));
  const { idleMs } = revision.spec.scale;
  const picked = new Set(pickSurplus(candidates, { desired, idleMs }, scene.nowMs));
  return instances
    .filter(({ id }) => picked.has(id))
    .map(({ id, node }) => ({ type: 'drain', instanceId: id, node, reason: 'idle' }));
}

/** How many to start now: what `min` asks for at once, what requests ask for when it lasts. */
function missingNow(one: Case, count: { desired: number; actual: number }): number {
  const { revision, scene } = one;
  const { memory, nowMs } = scene;
  const { min } = revision.spec.scale;
  const isShort = count.actual < count.desired;
  const sinceMs = memory.shortSinceMs.get(revision.id) ?? nowMs;
  if (isShort) scene.shortSinceMs.set(revision.id, sinceMs);
  if ((memory.failures.get(revision.id)?.untilMs ?? 0) > nowMs) return 0;
  const floor = one.want === 'serving' ? min : 0;
  const goal = isShort && nowMs - sinceMs >= SHORT_MS ? count.desired : floor;
  return Math.max(0, goal - count.actual);
}

function start({ revision, scene, decision }: Case): void {
  const { memoryBytes } = revision.spec;
  const starts = decision.actions.filter((action) => action.type === 'start');
  if (starts.length >= STARTS_MAX) return;
  const own = starts.filter(({ revisionId }) => revisionId === revision.id);
  const already = [...own.map((action) => action.node), ...startingOf(scene, revision.id)];
  const node = place(placesOf(scene, revision.id, already), { memoryBytes });
  if (node === undefined) {
    if (!decision.unplaced.includes(revision.id)) decision.unplaced.push(revision.id);
    return;
  }
  const promised = scene.promisedBytes.get(node) ?? 0;
  scene.promisedBytes.set(node, promised + memoryBytes);
  decision.actions.push({ type: 'start', revisionId: revision.id, node });
}

function startingOf({ memory }: Scene, revisionId: string): readonly string[] {
  return memory.starting.get(revisionId) ?? [];
}

/** The nodes with what they hold, what is `starting` there and what this decision has promised. */
function placesOf(scene: Scene, revisionId: string, starting: readonly string[]): PlaceNode[] {
  const { world, nodes, promisedBytes } = scene;
  return placeNodes(nodes, world.instances, revisionId).map((node) => ({
    ...node,
    freeBytes: node.freeBytes - (promisedBytes.get(node.name) ?? 0),
    ofRevision: node.ofRevision + starting.filter((name) => name === node.name).length,
  }));
}

function allow({ revision, rollout, scene }: Case, desired: number): Action[] {
  const { memoryBytes } = revision.spec;
  const places = placeNodes(scene.nodes, scene.world.instances, revision.id);
  const nodes = allowance(places, { memoryBytes }, rollout.nodes);
  const isSame = nodes.join() === rollout.nodes.join() && desired === rollout.desired;
  return isSame ? [] : [{ type: 'allow', revisionId: revision.id, nodes, desired }];
}
