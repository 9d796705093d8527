import { setTimeout as sleep } from 'node:timers/promises';
import { errnoCode } from '../../../lib/errors.ts';
import { processesIn } from '../../../lib/testing/machine.ts';
import type { ContainerSpec } from '../container-spec.ts';
import type { Container } from '../engine-types.ts';
import { type EngineWorld, ended } from './engine-world.ts';

/** One container's life from its start to its removal; what it came to, as one word. */
type Life = (world: EngineWorld) => Promise<string>;

/** Starts it, lets `act` be, and removes it. */
async function live(
  world: EngineWorld,
  argv: readonly string[],
  how: { more?: Partial<ContainerSpec>; act?: (container: Container) => Promise<unknown> } = {},
): Promise<string> {
  const container = await world.engine.start(world.spec(argv, how.more));
  try {
    await how.act?.(container);
  } catch (error) {
    await container.kill();
    throw error;
  } finally {
    await ended(container);
  }
  return 'ended';
}

const normal: Life = (world) => live(world, ['/bin/true']);

const crash: Life = (world) => live(world, ['/bin/sh', '-c', 'echo bad >&2; kill -SEGV $$']);

const timeout: Life = (world) =>
  live(world, ['/bin/sleep', '600'], { act: (container) => container.kill() });

const stopped: Life = (world) =>
  live(world, ['/bin/sh', '-c', 'sleep 600 & sleep 600'], {
    act: async (container) => container.signal('SIGTERM'),
  });

const paused: Life = (world) =>
  live(world, ['/bin/sleep', '600'], {
    act: async (container) => {
      await container.pause();
      await container.kill();
    },
  });

const executed: Life = (world) =>
  live(world, ['/bin/sleep', '600'], {
    act: async (container) => {
      const inside = await container.exec({ argv: ['/bin/true'] });
      inside.stdout.resume();
      inside.stderr.resume();
      await inside.exited;
      await container.kill();
    },
  });

const networked: Life = (world) => live(world, ['/bin/true'], { more: { network: 'bridge' } });

const onDisk: Life = (world) => {
  const { resources } = world.spec([]);
  const more = { resources: { ...resources, writable: 'disk' as const } };
  return live(world, ['/bin/touch', '/file'], { more });
};

const missingProgram: Life = (world) => live(world, ['/bin/nowhere']);

const missingLayer: Life = (world) =>
  live(world, ['/bin/true'], { more: { layers: ['/nowhere'] } });

/** Somebody's end at any point of a start: of this one, of a blank, or of one beside it. */
const killed: Life = async (world) => {
  const life = normal(world);
  life.catch(() => {});
  await sleep(Math.random() * 8);
  const pids = processesIn(world.options.name);
  const pid = pids[Math.floor(Math.random() * pids.length)];
  try {
    if (pid !== undefined && pid > 1) process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (errnoCode(error) !== 'ESRCH') throw error;
  }
  return life;
};

/** In the order of a round; those with a network or a disk cost tens of milliseconds. */
const ROUND: readonly Life[] = [
  ...[normal, crash, killed, timeout, missingProgram, stopped, normal, killed, paused, normal],
  ...[networked, crash, killed, timeout, missingLayer, executed, normal, killed, stopped, onDisk],
];

/** Lives so many lives, some at once; says how many came to what. */
export async function liveThrough(
  world: EngineWorld,
  options: { cycles: number; atOnce: number },
): Promise<Map<string, number>> {
  const outcomes = new Map<string, number>();
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < options.cycles) {
      const life = ROUND[next % ROUND.length] ?? normal;
      next += 1;
      const outcome = await life(world).catch(
        (error: unknown) => errnoCode(error) ?? String(error),
      );
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: options.atOnce }, lane));
  return outcomes;
}
