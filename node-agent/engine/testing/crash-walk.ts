import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import type { ContainerSpec } from '../container-spec.ts';
import type { FailpointName } from '../failpoint-names.ts';
import type { RemoteContainer, RemoteEngine } from './remote-engine.ts';

/** What a walk asks of its world. */
export interface WalkWorld {
  spec: (argv?: readonly string[], more?: Partial<ContainerSpec>) => ContainerSpec;
}

/** A start whose launcher dies fails as one that may be tried again. */
const TRIES_MAX = 20;

/** Leads a new engine process past a point, from its adoption to its end. */
export async function walk(
  world: WalkWorld,
  engine: RemoteEngine,
  point: FailpointName,
): Promise<void> {
  await engine.adopt();
  if (point.startsWith('volumes.')) await walkVolume(engine);
  else if (point.startsWith('networks.')) await walkNetwork(engine);
  else if (point.startsWith('undo.')) await walkFailure(world, engine);
  else if (point === 'start.after-disk') await walkDisk(world, engine);
  else await walkThird(world, engine, point.startsWith('exec.'));
  // A launcher's death is survived: the engine is asked for more
  if (!point.startsWith('launcher.')) await engine.close({ keepContainers: true });
}

/** Starts as soon as the engine can again. */
export async function startAgain(
  engine: RemoteEngine,
  spec: () => ContainerSpec,
): Promise<RemoteContainer> {
  for (let tries = 1; ; tries++) {
    try {
      return await engine.start(spec());
    } catch (error) {
      assert.equal((error as { code?: string }).code, 'StartFailed', String(error));
      if (tries === TRIES_MAX) throw error;
      await delay(50);
    }
  }
}

async function walkThird(world: WalkWorld, engine: RemoteEngine, exec: boolean): Promise<void> {
  const { id } = await engine.start(world.spec());
  if (exec) assert.deepEqual(await engine.exec(id, ['true']), { code: 0 });
  await engine.kill(id);
  await engine.remove(id);
}

async function walkFailure(world: WalkWorld, engine: RemoteEngine): Promise<void> {
  await assert.rejects(engine.start(world.spec(['/nothing'])), /nothing: not found/);
}

async function walkDisk(world: WalkWorld, engine: RemoteEngine): Promise<void> {
  const { upperDir: _, ...spec } = world.spec();
  const resources = { ...spec.resources, writable: 'disk' as const };
  const { id } = await engine.start({ ...spec, resources });
  await engine.remove(id);
}

async function walkVolume(engine: RemoteEngine): Promise<void> {
  await engine.createVolume('third');
  await engine.removeVolume('third');
}

async function walkNetwork(engine: RemoteEngine): Promise<void> {
  await engine.createNetwork({ name: 'third' });
  await engine.removeNetwork('third');
}
