import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { silentLog } from '../../../lib/telemetry/log.ts';
import type { ContainerSpec } from '../container-spec.ts';
import { createEngine } from '../engine.ts';
import { missingForContainers } from '../testing/busybox-layer.ts';
import { type EngineWorld, makeEngineWorld, says } from '../testing/engine-world.ts';
import { refused } from '../testing/refused.ts';
import { runtimeCgroups } from './runtime-cgroups.ts';

const RUNC = '/usr/sbin/runc';
const PROGRAM = fileURLToPath(new URL('../testing/engine-process.js', import.meta.url));
const skip = missingForContainers() ?? (existsSync(RUNC) ? false : 'needs runc');

describe('what goes wrong with containers of runc', { skip }, () => {
  let world: EngineWorld;
  const ociRuntime = 'runc';
  const sh = (script: string) => ['/bin/sh', '-c', script];
  const start = (argv: readonly string[], more: Partial<ContainerSpec> = {}) =>
    world.engine.start(world.spec(argv, { ociRuntime, ...more }));

  before(async () => {
    world = await makeEngineWorld({ runtimes: { runc: { path: RUNC } } });
  });
  after(() => world.close());

  for (const [title, argv, code, message] of [
    ['is not there', ['/bin/nope'], 'EntrypointNotFound', '/bin/nope: not found in image'],
    ['is not in PATH', ['nope'], 'EntrypointNotFound', 'nope: not found in PATH of the image'],
    ['is not executable', ['/bin/closed'], 'EntrypointNotFound', '/bin/closed: permission denied'],
    ['is none', ['/bin/text'], 'ExecFormat', '/bin/text: not a program this machine can execute'],
    [
      'has no interpreter',
      ['/bin/crlf'],
      'EntrypointNotFound',
      '/bin/crlf: its interpreter /bin/sh is not in the image',
    ],
    [
      'would be of the host',
      ['/proc/self/exe'],
      'EntrypointNotFound',
      '/proc/self/exe: not found in image',
    ],
  ] as const) {
    test(`a program that ${title} is told as such, and nothing is left`, async () => {
      const layer = join(world.folder, 'programs');
      execFileSync('mkdir', ['-p', join(layer, 'bin')]);
      writeFileSync(join(layer, 'bin/closed'), '#!/bin/sh\n', { mode: 0o644 });
      writeFileSync(join(layer, 'bin/text'), 'no program', { mode: 0o755 });
      writeFileSync(join(layer, 'bin/crlf'), '#!/bin/sh\r\n', { mode: 0o755 });
      const spec = world.spec(argv, { ociRuntime, layers: [world.layer, layer] });
      const error = await refused(world.engine.start(spec));
      assert.deepEqual([error.code, error.message], [code, message]);
      assert.equal(world.engine.get(spec.id), undefined);
    });
  }

  for (const [name, target] of [
    ['dev', '/etc'],
    ['dev', '../../../../etc'],
    ['proc', 'etc'],
    ['sys', '/sys'],
  ] as const) {
    test(`CVE-2026-41579: an image whose /${name} is a link to ${target} is refused before runc sees it`, async () => {
      const layer = mkdtempSync(join(world.folder, 'link-'));
      symlinkSync(target, join(layer, name));
      const error = await refused(start(['true'], { layers: [world.layer, layer] }));
      assert.equal(error.code, 'StartFailed');
      assert.match(error.message, /ELOOP$/);
      assert.equal(existsSync('/etc/ptmx'), false);
    });
  }

  test('a working folder that is not there is told as such', async () => {
    const error = await refused(start(['true'], { cwd: '/nope' }));
    assert.equal(error.message, 'working folder "/nope" does not exist in the container');
    const link = await refused(start(['true'], { cwd: '/proc/self/fd/7' }));
    assert.match(link.message, /working folder/);
  });

  test('a container outlives its agent and is adopted by the next; what was not finished is removed', async (t) => {
    const options = { ...world.options, name: `${world.options.name}z`, log: undefined };
    options.stateDir = join(world.folder, 'z');
    const spec = world.spec(sh('while :; do echo tick; sleep 0.1; done'), { ociRuntime });
    const child = spawn(
      process.execPath,
      [PROGRAM, JSON.stringify(options), JSON.stringify(spec)],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    t.after(() => child.kill('SIGKILL'));
    const [line] = await once(child.stdout, 'data');
    const { pid } = JSON.parse(String(line));
    child.kill('SIGKILL');
    await once(child, 'exit');
    const engine = await createEngine({ ...options, log: silentLog() });
    try {
      const [adopted] = await engine.adopt();
      assert.deepEqual([adopted?.id, adopted?.pid], [spec.id, pid]);
      assert.ok(adopted !== undefined);
      await says(adopted, /tick/);
      assert.equal((await adopted.kill()).oomKilled, false);
      await adopted.remove();
      const state = join(options.stateDir, 'oci/runc', spec.id);
      assert.equal(existsSync(state), false);
    } finally {
      await engine.close();
    }
  });

  test('an agent that dies while a runtime works takes the runtime along; nothing is left', async (t) => {
    const path = join(world.folder, 'slow-runtime');
    const script = `#!/bin/sh\ncase "$*" in *" run "*) touch '${path}.begun'; sleep 1;; esac\nexec ${RUNC} "$@"\n`;
    writeFileSync(path, script, { mode: 0o755 });
    const { log: _, ...plain } = world.options;
    const options = { ...plain, name: `${plain.name}w`, stateDir: join(world.folder, 'w') };
    const slow = { ...options, runtimes: { slow: { path } } };
    const spec = world.spec(['sleep', '60'], { ociRuntime: 'slow' });
    const child = spawn(process.execPath, [PROGRAM, JSON.stringify(slow), JSON.stringify(spec)], {
      stdio: 'ignore',
    });
    t.after(() => child.kill('SIGKILL'));
    while (!existsSync(`${path}.begun`)) await sleep(10);
    child.kill('SIGKILL');
    await once(child, 'exit');
    const engine = await createEngine({ ...slow, log: silentLog() });
    try {
      assert.deepEqual(await engine.adopt(), []);
      await sleep(1500);
      assert.equal(existsSync(join(options.stateDir, 'oci/slow', spec.id)), false);
      assert.equal(existsSync(join(options.stateDir, 'containers', spec.id)), false);
    } finally {
      await engine.close();
    }
    const left = runtimeCgroups().map((root) => `${root}/hearth/${options.name}`);
    assert.deepEqual(left.filter(existsSync), []);
  });

  test('an unknown runtime names the configured ones; a missing program is the node’s fault', async () => {
    const error = await refused(start(['true'], { ociRuntime: 'rucn' }));
    assert.equal(error.code, 'ConfigInvalid');
    assert.match(error.message, /"rucn" is not configured on this node; configured: runc$/);
    assert.equal(error.hint, 'did you mean "runc"?');
    const options = {
      name: `${world.options.name}x`,
      runtimes: { gone: { path: '/nowhere/gone' } },
    };
    const engine = await createEngine({
      ...world.options,
      ...options,
      stateDir: join(world.folder, 'x'),
    });
    try {
      const spec = world.spec(['true'], { ociRuntime: 'gone' });
      const missing = await refused(engine.start(spec));
      assert.equal(missing.code, 'KernelUnsupported');
      assert.ok(!missing.message.includes('/nowhere'), missing.message);
    } finally {
      await engine.close();
    }
  });

  test('a runtime that fails is quoted without paths of the host', async () => {
    const path = join(world.folder, 'broken-runtime');
    const line = JSON.stringify({ level: 'error', msg: `cannot open ${world.folder}/x: EIO` });
    const script = `#!/bin/sh
while [ "$1" != --log ]; do [ $# -eq 0 ] && exit 0; shift; done
echo '${line}' > "$2"; exit 1
`;
    writeFileSync(path, script);
    chmodSync(path, 0o755);
    const options = { name: `${world.options.name}y`, runtimes: { broken: { path } } };
    const engine = await createEngine({
      ...world.options,
      ...options,
      stateDir: join(world.folder, 'y'),
    });
    try {
      const error = await refused(engine.start(world.spec(['true'], { ociRuntime: 'broken' })));
      assert.equal(error.code, 'StartFailed');
      assert.equal(error.message, 'cannot start: runtime "broken": cannot open …: EIO');
    } finally {
      await engine.close();
    }
  });
});
