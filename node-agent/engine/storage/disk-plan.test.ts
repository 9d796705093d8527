import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { planDisk } from './disk-plan.ts';

const MIB = 1024 * 1024;
const MKFS = '/usr/sbin/mkfs.ext4';

test('a disk has room for what was asked for and at most 1 % more', {
  skip: existsSync(MKFS) ? false : 'needs e2fsprogs',
}, (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'hearth-disk-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  for (const [bytes, inodes] of [
    [16 * MIB, 4096],
    [100 * MIB + 1, 100],
    [512 * MIB, 131_072],
    [4096 * MIB, 1_048_576],
    [64 * 1024 * MIB, 1_000_000],
  ] as const) {
    const image = join(folder, 'image');
    writeFileSync(image, '');
    const plan = planDisk(bytes, inodes);
    truncateSync(image, plan.fileBytes);
    execFileSync(MKFS, [...plan.mkfsArguments, image]);
    const said = execFileSync('/usr/sbin/dumpe2fs', ['-h', image], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const value = (name: string) => Number(new RegExp(`^${name}:\\s*(\\d+)`, 'm').exec(said)?.[1]);
    const kept = Math.min(Math.floor(value('Block count') / 50), 4096);
    const room = (value('Free blocks') - kept) * 4096;
    assert.ok(room >= bytes && room <= bytes * 1.01 + 64 * 1024, `${bytes}: room for ${room}`);
    const files = value('Free inodes');
    assert.ok(files >= inodes && files <= inodes * 1.01 + 512, `${inodes}: room for ${files}`);
    // Nothing but the tables that describe it is written ahead
    assert.ok(statSync(image).blocks * 512 < 2 * MIB);
  }
});
