import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { missingForContainers } from './testing/busybox-layer.ts';
import { type EngineWorld, makeEngineWorld } from './testing/engine-world.ts';

const skip = missingForContainers() ?? false;

/** Mount points that are traps have a file of their own: engine-cve-mounts.test.ts. */
describe('hostile images', { skip }, () => {
  let world: EngineWorld;
  let counter = 0;
  before(async () => {
    world = await makeEngineWorld();
  });
  after(() => world.close());

  const layerWith = (make: (root: string) => void): readonly string[] => {
    counter += 1;
    const root = join(world.folder, `hostile-${counter}`);
    mkdirSync(root);
    make(root);
    return [world.layer, root];
  };
  const files = {
    '/etc/hosts': '127.0.0.1 localhost\n',
    '/etc/resolv.conf': 'nameserver 1.1.1.1\n',
  };
  test('a link at /etc/resolv.conf is followed inside the image only', async () => {
    const layers = layerWith((root) => {
      mkdirSync(join(root, 'etc'));
      mkdirSync(join(root, 'run'));
      writeFileSync(join(root, 'run/stub.conf'), 'the image’s');
      symlinkSync('../run/stub.conf', join(root, 'etc/resolv.conf'));
    });
    const { stdout } = await world.run(['cat', '/etc/resolv.conf', '/run/stub.conf'], {
      layers,
      files,
    });
    assert.equal(stdout, 'nameserver 1.1.1.1\nnameserver 1.1.1.1\n');
  });

  test('an interpreter line of /proc/self/exe cannot write the launcher’s program', async () => {
    const layers = layerWith((root) => {
      writeFileSync(join(root, 'run'), '#!/proc/self/exe\n', { mode: 0o755 });
    });
    const before = readFileSync(process.execPath).length;
    await world.run(['/run'], { layers }).catch(() => {});
    assert.equal(readFileSync(process.execPath).length, before);
  });

  test('a failed start leaves no cgroup, folder or socket', async () => {
    const layers = layerWith((root) => symlinkSync('/', join(root, 'proc')));
    const listenPath = join(world.folder, 'never.sock');
    await assert.rejects(world.run(['true'], { id: 'never', layers, listenPath }), {
      code: 'StartFailed',
    });
    assert.equal(existsSync(listenPath), false);
    assert.equal(existsSync(join(world.options.stateDir, 'containers/never')), false);
    const cgroups = readFileSync('/proc/mounts', 'utf8')
      .split('\n')
      .filter((line) => / cgroup2? /.test(line));
    for (const line of cgroups) {
      const root = line.split(' ')[1] ?? '';
      assert.equal(existsSync(`${root}/hearth/${world.options.name}/never`), false, root);
    }
  });
});
