import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { ContainerResources, ContainerSpec, ExitStatus } from '../container-spec.ts';
import type { EngineEvent } from '../engine-event.ts';
import type { Container } from '../engine-types.ts';
import { buildAttack } from './attack.ts';
import { type EngineWorld, makeEngineWorld, says } from './engine-world.ts';
import { Neighbour } from './neighbour.ts';

/** On two processors it has each for a quarter of the time, at most. */
const ATTACKER = { pids: 128, cpuMillis: 500 };
const BEYOND_BYTES_MAX = 256 * 1024;
const STOP_MS_MAX = 2_000;
/** A stop on a busy machine, in stops of a container that does nothing. */
const PLAIN_STOPS = 10;

/** How large the attacks are. */
export interface AttackScale {
  /** How long a neighbour is measured before an attack, and during each. */
  windowMs: number;
  zombies: number;
  files: number;
  folders: number;
  floodBytes: number;
}

/** One test of an attack. */
export type AttackTest = (
  name: string,
  act: (on: AttackWorld, t: TestContext) => Promise<void>,
) => void;

/** An engine that is attacked from inside, and a container beside the attacks. */
export class AttackWorld {
  readonly world: EngineWorld;
  readonly neighbour: Neighbour;
  readonly scale: AttackScale;
  readonly #events: EngineEvent[];
  readonly #plainStopMs: number;

  private constructor(parts: {
    world: EngineWorld;
    neighbour: Neighbour;
    scale: AttackScale;
    events: EngineEvent[];
    plainStopMs: number;
  }) {
    this.world = parts.world;
    this.neighbour = parts.neighbour;
    this.scale = parts.scale;
    this.#events = parts.events;
    this.#plainStopMs = parts.plainStopMs;
  }

  static async make(scale: AttackScale): Promise<AttackWorld> {
    const events: EngineEvent[] = [];
    const world = await makeEngineWorld({ onEvent: (event) => events.push(event) });
    buildAttack(join(world.layer, 'bin/attack'));
    const plain = await world.engine.start(world.spec(['/bin/sleep', '600']));
    const plainStopMs = await stopTime(plain);
    const neighbour = await Neighbour.start(world);
    return new AttackWorld({ world, neighbour, scale, events, plainStopMs });
  }

  /** Starts an attack. */
  async start(
    argv: readonly string[],
    resources: Partial<ContainerResources> = {},
    more: Partial<ContainerSpec> = {},
  ): Promise<Container> {
    const own = this.world.spec([]).resources;
    const spec = this.world.spec(['/bin/attack', ...argv], {
      resources: { ...own, ...ATTACKER, ...resources },
      ...more,
    });
    return this.world.engine.start(spec);
  }

  /** What the attack says came of it: the number, and the errno's name. */
  async outcome(container: Container): Promise<{ count: number; error: string }> {
    const [, count = '', error = ''] = /(\d+) ([A-Z]+)\n/.exec(
      await says(container, /\d+ [A-Z]+\n/),
    ) as RegExpExecArray;
    return { count: Number(count), error };
  }

  /** Ends it: every process of it, soon. The removal of its cgroups shows that none is left. */
  async stop(container: Container): Promise<void> {
    const ms = await stopTime(container);
    const most = STOP_MS_MAX + PLAIN_STOPS * this.#plainStopMs;
    assert.ok(ms <= most, `stopped in ${Math.round(ms)} ms, at most ${Math.round(most)}`);
  }

  /** The host can still make processes, and the engine containers. */
  async assertHostWorks(): Promise<void> {
    assert.equal(spawnSync('/bin/true').status, 0);
    assert.equal((await this.world.run(['/bin/true'])).code, 0);
  }

  saw(container: Container, action: string): boolean {
    return this.#events.some((event) => event.id === container.id && event.action === action);
  }

  /** The neighbour is served while the attack goes on; a subtest says so, or why it cannot. */
  async besideNeighbour(t: TestContext, attack: () => Promise<void>): Promise<void> {
    const verdict = await this.neighbour.servedWhile(attack, this.scale.windowMs);
    await t.test('its neighbour’s p99 is at most twice that before', (judge) => {
      judge.diagnostic(verdict.rounds);
      if (verdict.skip !== undefined) judge.skip(verdict.skip);
      else assert.ok(verdict.isServed, verdict.rounds);
    });
  }

  async close(): Promise<void> {
    await this.neighbour.close();
    await this.world.close();
  }
}

async function stopTime(container: Container): Promise<number> {
  const beganMs = performance.now();
  await container.kill();
  const ms = performance.now() - beganMs;
  await container.remove();
  return ms;
}

/**
 * A peak within its limit. What cannot wait, such as a packet, is charged beyond it for a moment
 * (Documentation/admin-guide/cgroup-v2.rst, memory.max): some pages.
 */
export function assertWithin(peakBytes: number, memoryBytes: number): void {
  const most = memoryBytes + BEYOND_BYTES_MAX;
  assert.ok(peakBytes <= most, `peak ${peakBytes} bytes, limit ${memoryBytes}`);
}

/** An end for want of memory: the kernel's, within the limit, and told with limit and peak. */
export function assertOutOfMemory(exit: ExitStatus, memoryBytes: number): void {
  assert.equal(exit.oomKilled, true, JSON.stringify(exit));
  assert.equal(exit.memory?.limitBytes, memoryBytes);
  assertWithin(exit.memory?.peakBytes ?? 0, memoryBytes);
}
