import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { GIB, MIB } from '../../lib/limits.ts';
import { missingForContainers } from '../engine/testing/busybox-layer.ts';
import { type EngineWorld, makeEngineWorld } from '../engine/testing/engine-world.ts';
import { executed } from '../engine/testing/exec-run.ts';
import { accountOf } from './account.ts';
import { execSpecOf } from './exec-spec.ts';

const skip = missingForContainers() ?? false;

/** Many times what a lookup takes, and far below what reading 2 GiB does. */
const LOOKUP_MS = 2_000;
const MEMORY_BYTES = 50 * MIB;

/** How each trap is laid at a path: in an image's layer by the host, in a container by a shell. */
const TRAPS: Readonly<Record<string, { lay: (path: string) => void; script: string }>> = {
  '2 GiB': {
    lay: (path) => {
      writeFileSync(path, '');
      truncateSync(path, 2 * GIB);
    },
    script: 'dd if=/dev/zero of=$f bs=1 count=1 seek=2147483647 2>/dev/null',
  },
  'a link to /dev/zero': {
    lay: (path) => symlinkSync('/dev/zero', path),
    script: 'ln -s /dev/zero $f',
  },
  'a link to /proc/kcore': {
    lay: (path) => symlinkSync('/proc/kcore', path),
    script: 'ln -s /proc/kcore $f',
  },
  'a FIFO': {
    lay: (path) => void spawnSync('mkfifo', [path]),
    script: 'busybox mkfifo $f',
  },
  'a folder': { lay: (path) => mkdirSync(path), script: 'mkdir $f' },
};

describe('CVE-2026-47262, CVE-2024-9676: account files that are traps', { skip }, () => {
  let world: EngineWorld;
  before(async () => {
    world = await makeEngineWorld();
  });
  after(() => world.close());

  const inBounds = async (lookup: () => Promise<unknown>): Promise<void> => {
    const [beganMs, before] = [performance.now(), process.memoryUsage().rss];
    await assert.rejects(lookup, { message: /names no user|names no group/ });
    assert.ok(performance.now() - beganMs < LOOKUP_MS);
    assert.ok(process.memoryUsage().rss - before < MEMORY_BYTES);
  };

  for (const [title, { lay, script }] of Object.entries(TRAPS)) {
    test(`${title} in an image`, async () => {
      const layer = join(world.folder, `trap-${Object.keys(TRAPS).indexOf(title)}`);
      mkdirSync(join(layer, 'etc'), { recursive: true });
      for (const name of ['passwd', 'group']) lay(join(layer, 'etc', name));
      const layers = [world.layer, layer];
      await inBounds(() => accountOf(layers, { asked: 'app', image: '' }));
      await inBounds(() => accountOf(layers, { asked: undefined, image: '7:staff' }));
      assert.deepEqual((await accountOf(layers, { asked: undefined, image: '7' })).user, {
        uid: 7,
        gid: 0,
        groups: [],
      });
    });

    test(`${title} that a container has laid`, async () => {
      const container = await world.engine.start(world.spec(['sleep', '60']));
      const each = `mkdir /etc; for f in /etc/passwd /etc/group; do ${script}; done`;
      assert.equal((await executed(container, { argv: ['/bin/sh', '-c', each] })).code, 0);
      const request = { command: ['id'], user: 'app' };
      await inBounds(() => execSpecOf(request, container));
      await container.remove();
    });
  }
});
