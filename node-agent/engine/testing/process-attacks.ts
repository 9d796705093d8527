import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AttackTest } from './attack-world.ts';

const PIDS = 128;
/** Of a quota, over a window. */
const ERROR_MAX = 0.1;

/** Processes, their time and their signals: RES-1, RES-3, RES-8, RES-9. */
export function attackByProcesses(attack: AttackTest): void {
  attack('RES-1: processes without end: the limit says no, and all of them end', async (on, t) => {
    await on.besideNeighbour(t, async () => {
      for (const mode of ['fork', 'threads', 'vfork', 'orphans']) {
        const container = await on.start([mode]);
        const { error } = await on.outcome(container);
        assert.equal(error, 'EAGAIN', mode);
        await on.assertHostWorks();
        assert.ok((await container.stats()).pids.current <= PIDS, mode);
        await sleep(on.scale.windowMs / 4);
        await on.stop(container);
        assert.ok(on.saw(container, 'pids-limit'), mode);
      }
    });
  });

  attack('RES-1: zombies are taken by init', async (on) => {
    const container = await on.start(['zombies', String(on.scale.zombies)]);
    assert.equal((await on.outcome(container)).count, on.scale.zombies);
    assert.ok((await container.stats()).pids.current <= 2);
    await on.stop(container);
  });

  attack(
    'RES-3: sixteen threads that spin get their quota, and no better priority',
    async (on, t) => {
      await on.besideNeighbour(t, async () => {
        const container = await on.start(['spin', '16']);
        assert.equal((await on.outcome(container)).count, 3, 'refused priorities');
        const from = await container.stats();
        await sleep(on.scale.windowMs);
        const to = await container.stats();
        const cores = (to.cpu.usageNs - from.cpu.usageNs) / 1e6 / (to.timeMs - from.timeMs);
        t.diagnostic(`${cores.toFixed(3)} cores of 0.5`);
        assert.ok(cores <= 0.5 * (1 + ERROR_MAX), `${cores} cores`);
        await on.stop(container);
      });
    },
  );

  attack('RES-8: what a user may have is each container’s own', async (on) => {
    const both = await Promise.all([on.start(['inotify']), on.start(['inotify'])]);
    const [one, two] = await Promise.all(both.map((container) => on.outcome(container)));
    assert.equal(one?.error, 'EMFILE');
    assert.deepEqual(two, one);
    for (const container of both) await on.stop(container);
  });

  for (const mode of ['term', 'stop']) {
    attack(
      `RES-9: ${mode === 'term' ? 'a loop in SIGTERM' : 'SIGSTOP'} does not last`,
      async (on) => {
        const container = await on.start([mode]);
        await on.outcome(container);
        container.signal('SIGTERM');
        await sleep(100);
        await on.stop(container);
      },
    );
  }
}
