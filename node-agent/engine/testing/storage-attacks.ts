import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AttackTest } from './attack-world.ts';

const MIB = 1024 * 1024;
const SIZE_ERROR_MAX = 0.01;
/** Files and folders are memory too, some 1.2 KB each: here their number is to be the limit. */
const INODES_BYTES = 1024 * MIB;
const OPEN_FILES = 256;

/** Files, descriptors and output: RES-4 to RES-7. */
export function attackByFiles(attack: AttackTest): void {
  for (const [where, limit] of [
    ['/file', { diskBytes: 16 * MIB }],
    ['/tmp/file', { diskBytes: 16 * MIB }],
    ['/dev/shm/file', { shmBytes: 16 * MIB }],
  ] as const) {
    attack(`RES-4: ${where} is full at its limit`, async (on) => {
      const container = await on.start(['fill', where], limit);
      const { count, error } = await on.outcome(container);
      assert.equal(error, 'ENOSPC');
      assert.ok(Math.abs(count / (16 * MIB) - 1) <= SIZE_ERROR_MAX, `${count} bytes`);
      await on.stop(container);
    });
  }

  attack('RES-5: files and folders without end meet their limit', async (on) => {
    const container = await on.start(['files', '/tmp'], {
      inodes: on.scale.files,
      memoryBytes: INODES_BYTES,
    });
    const { count, error } = await on.outcome(container);
    assert.equal(error, 'ENOSPC');
    assert.ok(count <= on.scale.files && count >= on.scale.files * 0.9, `${count} files`);
    await on.stop(container);
    const deep = await on.start(['folders', String(on.scale.folders)], {
      memoryBytes: INODES_BYTES,
    });
    await on.outcome(deep);
    await on.stop(deep);
  });

  attack('RES-6: open files end at the limit, those in flight too', async (on) => {
    const files = await on.start(['descriptors'], { openFiles: OPEN_FILES });
    const open = await on.outcome(files);
    assert.equal(open.error, 'EMFILE');
    assert.ok(open.count < OPEN_FILES);
    await on.stop(files);
    const flying = await on.start(['inflight'], { openFiles: OPEN_FILES });
    const sent = await on.outcome(flying);
    assert.equal(sent.error, 'ETOOMANYREFS');
    assert.ok(sent.count <= OPEN_FILES + 1, `${sent.count} in flight`);
    await on.stop(flying);
  });

  attack(
    'RES-7: output without end is read to the last byte, and holds nobody up',
    async (on, t) => {
      await on.besideNeighbour(t, async () => {
        for (const text of ['x', 'a line\n', '\xff\xfe', '\x1b[2J\x1b]0;title\x07']) {
          const container = await on.start(['flood', text, String(on.scale.floodBytes)]);
          let bytes = 0;
          const said = new Promise<void>((resolve) => {
            container.onOutput((stream, chunk) => {
              if (stream === 'stdout') bytes += chunk.length;
              else resolve();
            });
          });
          await said;
          while (bytes < on.scale.floodBytes) await sleep(10);
          await on.stop(container);
        }
      });
    },
  );
}
