import assert from 'node:assert/strict';
import { type AttackTest, assertOutOfMemory, assertWithin } from './attack-world.ts';

const MIB = 1024 * 1024;
const MEMORY_BYTES = 48 * MIB;

/** Memory in all its kinds: RES-2. */
export function attackByMemory(attack: AttackTest): void {
  attack(
    'RES-2: memory without end: that container alone ends, with limit and peak',
    async (on, t) => {
      await on.besideNeighbour(t, async () => {
        for (const argv of [['heap'], ['shared'], ['fill', '/dev/shm/file'], ['fill', '/file']]) {
          const sizes = { memoryBytes: MEMORY_BYTES, diskBytes: 256 * MIB, shmBytes: 256 * MIB };
          const container = await on.start(argv, sizes);
          assertOutOfMemory(await container.exited, MEMORY_BYTES);
          assert.ok(on.saw(container, 'oom'), argv.join(' '));
          await container.remove();
          await on.assertHostWorks();
        }
      });
    },
  );

  for (const mode of ['pipes', 'sockets', 'tcp', 'objects']) {
    attack(`RES-2: ${mode} are memory too`, async (on, t) => {
      const container = await on.start([mode], { memoryBytes: MEMORY_BYTES, openFiles: 1024 });
      const said = on.outcome(container).catch(() => undefined);
      const end = await Promise.race([container.exited, said]);
      const { memory } = await container.stats();
      t.diagnostic(JSON.stringify({ end, peakMib: Math.round(memory.peakBytes / MIB) }));
      assertWithin(memory.peakBytes, MEMORY_BYTES);
      // What it says lies in buffers of the kernel, where TCP has a share of its own under v1
      if (end !== undefined && 'count' in end && mode !== 'objects') {
        assert.ok(end.count <= MEMORY_BYTES * 1.5, `${end.count} bytes`);
      }
      await on.assertHostWorks();
      await on.stop(container);
    });
  }
}
