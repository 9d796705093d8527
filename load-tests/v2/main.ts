import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../lib/paths.ts';
import { findProgram } from '../programs/cache.ts';
import { boot } from './boot.ts';
import { STEPS } from './guest-scripts.ts';
import { diskFrom, obtainImage } from './image.ts';
import { verdictOf } from './verdict.ts';

const PROGRAMS = ['qemu-system-x86_64', 'debootstrap', 'mke2fs', 'apt-get', 'dpkg-deb', 'chroot'];
/** An emulated machine takes twenty times as long as a real one. */
const BOOT_MS_MAX = 3_600_000;

process.exitCode = await main();

/** Runs the quickstart and the engine's tests on an emulated machine that has cgroup v2 alone. */
async function main(): Promise<number> {
  const missing = whyNotHere();
  if (missing !== undefined) {
    process.stdout.write(`skipped: ${missing}\n`);
    return 0;
  }
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  const image = await obtainImage(say);
  const work = mkdtempSync('/var/tmp/hearth-v2-');
  try {
    const project = join(work, 'project.img');
    await diskFrom(packageRoot, project);
    say('booting; everything in the machine is slow');
    const onText = (text: string): void => void process.stderr.write(text);
    const serial = await boot({ image, project, msMax: BOOT_MS_MAX, onText });
    const { ok, lines } = verdictOf(serial, Object.keys(STEPS));
    process.stdout.write(`${lines.join('\n')}\n`);
    return ok ? 0 : 1;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function whyNotHere(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root';
  if (process.arch !== 'x64') return `needs x64, this is ${process.arch}`;
  const missing = PROGRAMS.filter((name) => findProgram(name) === undefined);
  return missing.length === 0 ? undefined : `needs ${missing.join(', ')}`;
}
