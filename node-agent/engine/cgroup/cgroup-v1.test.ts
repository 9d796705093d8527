import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildAttack, missingForAttacks } from '../testing/attack.ts';
import { EngineCgroups } from './cgroup.ts';
import { type CgroupLayout, parseCgroupLayout } from './cgroup-layout.ts';
import type { ContainerCgroup } from './container-cgroup.ts';

const PIDS = 64;
const RESOURCES = {
  memoryBytes: 64 * 1024 * 1024,
  cpuMillis: 1000,
  pids: PIDS,
  diskBytes: 1,
  openFiles: 64,
};

/** This machine as if it had no v2 tree: no cgroup.kill, no cgroup.freeze. */
function pureV1(): CgroupLayout | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const mounts = readFileSync('/proc/mounts', 'utf8').replaceAll(/^\S+ \S+ cgroup2 .*$/gm, '');
  const found = parseCgroupLayout(mounts, '');
  return found?.v1.freezer === undefined ? undefined : found;
}

const layout = pureV1();
const skip =
  missingForAttacks() ?? (layout === undefined ? 'needs cgroup v1 with its freezer' : false);

describe('a machine with cgroup v1 alone', { skip }, () => {
  let folder: string;
  let cgroups: EngineCgroups;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'hearth-cgroup-'));
    buildAttack(join(folder, 'attack'));
    cgroups = new EngineCgroups(layout as CgroupLayout, `v${process.pid}`);
  });
  after(() => {
    cgroups.removeAll();
    rmSync(folder, { recursive: true });
  });

  /** A cgroup in which `attack` runs, which joins it before it begins. */
  async function attacked(t: TestContext, ...attack: string[]): Promise<ContainerCgroup> {
    const cgroup = cgroups.create(`c-${attack[0]}`);
    cgroups.limit(cgroup, RESOURCES);
    const join = cgroup.folders.map((path) => `echo $$ > ${path}/cgroup.procs`).join(' && ');
    const script = `${join} && exec "$0" "$@"`;
    const child = spawn('/bin/sh', ['-c', script, `${folder}/attack`, ...attack], {
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true,
    });
    t.after(async () => {
      await cgroup.kill();
      await cgroup.remove();
    });
    await new Promise((resolve) => child.stdout.once('data', resolve));
    return cgroup;
  }

  test('a fork bomb is killed to its last process', async (t) => {
    const cgroup = await attacked(t, 'fork');
    assert.equal(cgroup.processes().length, PIDS + 1);
    const beganMs = performance.now();
    await cgroup.kill();
    t.diagnostic(`killed in ${Math.round(performance.now() - beganMs)} ms`);
    assert.deepEqual(cgroup.processes(), []);
  });

  test('threads that spin stand still when paused, and die paused', async (t) => {
    const cgroup = await attacked(t, 'spin', '8');
    await cgroup.freeze();
    assert.equal(cgroup.frozen, true);
    const { cpuUsage } = await cgroup.texts();
    assert.ok(Number(cpuUsage[0]) > 0);
    await sleep(50);
    assert.deepEqual((await cgroup.texts()).cpuUsage, cpuUsage);
    await cgroup.kill();
    assert.deepEqual(cgroup.processes(), []);
  });

  test('its time is counted by cpuacct, and nothing of it is left in the kernel', async (t) => {
    const dead = (): number => Number(/^memory\t\d+\t(\d+)/m.exec(cgroupsOfKernel())?.[1]);
    const before = dead();
    const cgroup = await attacked(t, 'spin', '1');
    await sleep(50);
    const [usage = '0'] = (await cgroup.texts()).cpuUsage;
    assert.ok(Number(usage) > 1_000_000, usage);
    await cgroup.kill();
    await cgroup.remove();
    assert.ok(cgroup.folders.every((path) => !existsSync(path)));
    // Removal in the kernel is by a queue of work, and others may begin and end meanwhile
    for (let tries = 0; dead() > before && tries < 100; tries++) await sleep(20);
    t.diagnostic(`memory cgroups: ${before} before, ${dead()} after`);
  });
});

function cgroupsOfKernel(): string {
  return readFileSync('/proc/cgroups', 'utf8');
}
