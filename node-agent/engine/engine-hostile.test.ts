import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { ContainerSpec } from './container-spec.ts';
import { missingForContainers } from './testing/busybox-layer.ts';
import { type EngineWorld, makeEngineWorld } from './testing/engine-world.ts';

const skip = missingForContainers() ?? false;

/** ESC, CVE-2026-41579, CVE-2025-31133, CVE-2025-52881: images whose mount points are traps. */
describe('hostile images', { skip }, () => {
  let world: EngineWorld;
  let sentinel: string;
  let counter = 0;
  before(async () => {
    world = await makeEngineWorld();
    sentinel = join(world.folder, 'sentinel');
    mkdirSync(sentinel);
    writeFileSync(join(sentinel, 'file'), 'untouched');
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
  const attempt = async (layers: readonly string[], more: Partial<ContainerSpec> = {}) => {
    try {
      const script = 'cat /etc/hosts; echo x > /dev/null; ls -l /dev/null; cat /proc/self/comm';
      return await world.run(['/bin/sh', '-c', script], { layers, files, ...more });
    } catch (error) {
      return error as { code: string };
    }
  };
  const unchanged = () => {
    assert.deepEqual(readdirSync(sentinel), ['file']);
    assert.equal(readFileSync(join(sentinel, 'file'), 'utf8'), 'untouched');
  };

  for (const path of [
    'dev',
    'proc',
    'etc/hosts',
    'etc/resolv.conf',
    'etc',
    'tmp',
    'sys',
    'dev/null',
    'dev/shm',
  ]) {
    for (const kind of [
      'absolute link',
      'climbing link',
      'dangling link',
      'loop',
      'file',
      'fifo',
    ] as const) {
      test(`${path} as ${kind} changes nothing on the host`, async () => {
        const layers = layerWith((root) => {
          const at = join(root, path);
          mkdirSync(dirname(at), { recursive: true });
          const links = {
            'absolute link': sentinel,
            'climbing link': `../../../../../../../..${sentinel}/file`,
            'dangling link': `${sentinel}/new`,
            loop: at.slice(root.length),
          };
          if (kind === 'file') writeFileSync(at, 'x');
          else if (kind === 'fifo') spawnSync('mkfifo', [at]);
          else symlinkSync(links[kind], at);
        });
        const result = await attempt(layers);
        unchanged();
        if (path === 'dev' || path === 'proc')
          assert.ok('code' in result && result.code === 'StartFailed');
      });
    }
  }

  test('a null device of the image is never used for masks', async () => {
    const pattern = readFileSync('/proc/sys/kernel/core_pattern', 'utf8');
    const layers = layerWith((root) => {
      mkdirSync(join(root, 'dev'));
      symlinkSync('/proc/sys/kernel/core_pattern', join(root, 'dev/null'));
    });
    const result = await attempt(layers);
    assert.ok('stdout' in result && /1, +3/.test(result.stdout), JSON.stringify(result));
    assert.equal(readFileSync('/proc/sys/kernel/core_pattern', 'utf8'), pattern);
  });

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
