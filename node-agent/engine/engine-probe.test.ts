import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { DEFAULT_CAPABILITIES } from './capabilities.ts';
import { missingForContainers } from './testing/busybox-layer.ts';
import { type EngineWorld, makeEngineWorld } from './testing/engine-world.ts';
import { EXPECTED, installProbe, PROBE_ARGUMENTS } from './testing/syscall-probe.ts';

const skip =
  missingForContainers() ?? (existsSync('/usr/bin/gcc') ? false : 'needs gcc for a static probe');

describe('ESC-P', { skip }, () => {
  let world: EngineWorld;
  before(async () => {
    world = await makeEngineWorld();
    installProbe(world);
  });
  after(() => world.close());

  for (const [title, user, capabilities] of [
    ['uid 0', { uid: 0, gid: 0, groups: [] }, []],
    ['uid 10001', { uid: 10_001, gid: 10_001, groups: [] }, []],
    ['a build step', { uid: 0, gid: 0, groups: [] }, DEFAULT_CAPABILITIES],
  ] as const) {
    test(`every probe is answered as required for ${title}`, async () => {
      const ran = await world.run(['/bin/probe', ...PROBE_ARGUMENTS], { user, capabilities });
      assert.equal(ran.code, 0, ran.stderr);
      const found = ran.stdout.trim().split('\n').map(Number);
      const wrong = EXPECTED.flatMap(([name, values, errno], n) =>
        found[n] === errno ? [] : [`${name}(${values.join(', ')}): ${found[n]}, not ${errno}`],
      );
      assert.deepEqual(wrong, []);
    });
  }

  test('no file of /proc that is not a process’s can be opened for writing', async () => {
    const script = `for f in $(find /proc -maxdepth 5 -type f ! -path '/proc/[0-9]*' ! -path '/proc/self*' ! -path '/proc/thread-self*' 2>/dev/null); do
      (: >> "$f") 2>/dev/null && echo "$f"; done; true`;
    const ran = await world.run(['/bin/sh', '-c', script]);
    const masked = (path: string) =>
      [
        '/proc/interrupts',
        '/proc/kallsyms',
        '/proc/kcore',
        '/proc/keys',
        '/proc/timer_list',
      ].includes(path);
    assert.deepEqual(
      ran.stdout.split('\n').filter((line) => line !== '' && !masked(line)),
      [],
    );
  });

  test('a file’s set-user-id bit and capabilities give nothing', async () => {
    const extra = join(world.folder, 'suid');
    mkdirSync(join(extra, 'bin'), { recursive: true });
    copyFileSync('/bin/busybox', join(extra, 'bin/suid-id'));
    execFileSync('chmod', ['4755', join(extra, 'bin/suid-id')]);
    execFileSync('ln', ['-s', 'suid-id', join(extra, 'bin/id2')]);
    const user = { uid: 7, gid: 7, groups: [] };
    const script = '/bin/suid-id id -u; grep CapEff /proc/self/status';
    const ran = await world.run(['/bin/sh', '-c', script], { layers: [world.layer, extra], user });
    assert.match(ran.stdout, /CapEff:\s0+\n$/);
    assert.ok(!/^0$/m.test(ran.stdout), ran.stdout);
  });
});
