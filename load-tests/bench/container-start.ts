import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { packageRoot } from '../../lib/paths.ts';
import { isolationFaults, parseIsolation } from './isolation.ts';
import { LineProcess } from './line-process.ts';
import { spreadOf } from './percentiles.ts';
import type { Row } from './report.ts';
import { makeRuncBundle } from './runc-bundle.ts';

const NAME = 'C1';
const STARTS = 300;
/** Of those that are told and not judged. */
const FEWER_STARTS = 60;
const WARM_UP_STARTS = 10;
/** performance.md: at most 4 times the control, at least 10 times faster than runc. */
const BARS = { control: 4, runc: 0.1 };
const TIMING = fileURLToPath(
  new URL('../../node-agent/engine/testing/start-timing.js', import.meta.url),
);

/** One side of the comparison: each call is one start, and answers its milliseconds. */
interface Side {
  start(): Promise<number>;
  close(): Promise<void>;
}

/**
 * Container start of a static binary with full isolation, from the call until its first byte: ours, a
 * C program that does by hand what the kernel needs, and `runc run`, in turns. Every start of ours
 * shows its isolation.
 */
export async function containerStartRows(): Promise<Row[]> {
  const what = 'container start, static binary, full isolation';
  const missing = missingHere();
  if (missing !== undefined) return [{ name: NAME, what, missing }];
  const folder = mkdtempSync(join(tmpdir(), 'hearth-c1-'));
  const sides: Side[] = [];
  const add = <S extends Side>(side: S): S => {
    sides.push(side);
    return side;
  };
  try {
    const layer = compile(folder);
    const ours = add(await oursSide(layer, 'none', 2));
    const bridge = add(await oursSide(layer, 'bridge', 2));
    const unprepared = add(await oursSide(layer, 'none', 0));
    const control = await controlSide(join(folder, 'start-control'), layer, folder);
    add(control);
    const hasRunc = existsSync('/usr/sbin/runc') || existsSync('/usr/bin/runc');
    const runc = hasRunc ? add(await runcSide(folder, layer, control.netns)) : undefined;
    const judged = runc === undefined ? [ours, control] : [ours, control, runc];
    const [own = [], cs = [], rs = []] = await inTurns(judged, STARTS);
    const [others = [], without = []] = await inTurns([bridge, unprepared], FEWER_STARTS);
    const cControl = { what: 'a C launcher by hand', spread: spreadOf(cs) };
    const prepared = `${what}, network none, a blank ready`;
    return [
      {
        name: NAME,
        what: prepared,
        ours: spreadOf(own),
        control: { ...cControl, bar: BARS.control },
      },
      runc === undefined
        ? { name: NAME, what: `${prepared}: runc run`, missing: 'runc is not installed' }
        : {
            name: NAME,
            what: prepared,
            ours: spreadOf(own),
            control: { what: 'runc run', spread: spreadOf(rs), bar: BARS.runc },
          },
      { name: NAME, what: `${what}, network bridge, a blank ready`, ours: spreadOf(others) },
      { name: NAME, what: `${what}, network none, no blank ready`, ours: spreadOf(without) },
    ];
  } finally {
    for (const side of sides.reverse()) await side.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

function missingHere(): string | undefined {
  if (process.getuid?.() !== 0) return 'it needs root';
  return existsSync('/usr/bin/gcc') ? undefined : 'gcc is not installed';
}

/** Folder of the image: the program, and mount points for runc and the control. */
function compile(folder: string): string {
  const layer = join(folder, 'layer');
  for (const name of ['proc', 'dev', 'sys']) mkdirSync(join(layer, name), { recursive: true });
  const source = (name: string) => join(packageRoot, 'load-tests/bench', name);
  execFileSync('gcc', ['-O2', '-static', '-o', join(layer, 'first-byte'), source('first-byte.c')]);
  const control = join(folder, 'start-control');
  execFileSync('gcc', ['-O2', '-o', control, source('start-control.c')]);
  return layer;
}

async function inTurns(sides: readonly Side[], count: number): Promise<number[][]> {
  const times: number[][] = sides.map(() => []);
  for (let n = -WARM_UP_STARTS; n < count; n++) {
    for (const [i, side] of sides.entries()) {
      const ms = await side.start();
      if (n >= 0) times[i]?.push(ms);
    }
  }
  return times;
}

async function oursSide(layer: string, network: string, blanks: number): Promise<Side> {
  const engine = new LineProcess(process.execPath, [TIMING, layer, network, String(blanks)]);
  await engine.line();
  return {
    start: async () => {
      engine.ask();
      const { ms, said } = JSON.parse(await engine.line()) as { ms: number; said: string };
      const faults = isolationFaults(parseIsolation(said));
      if (faults.length > 0) throw new Error(`a start was not isolated: ${faults.join(', ')}`);
      return ms;
    },
    close: () => engine.close(),
  };
}

async function controlSide(
  program: string,
  layer: string,
  folder: string,
): Promise<Side & { netns: string }> {
  const work = join(folder, 'work');
  mkdirSync(work);
  const control = new LineProcess(program, ['namespaces', layer, work]);
  const [netns = ''] = await control.linesUntil('end');
  return { netns, start: () => timed(control), close: () => control.close() };
}

async function runcSide(folder: string, layer: string, netns: string): Promise<Side> {
  const bundle = makeRuncBundle(join(folder, 'bundle'), layer, netns);
  const id = `hearth-bench-${process.pid}`;
  const args = ['execute', 'runc', 'run', '--bundle', bundle, id];
  const control = new LineProcess(join(folder, 'start-control'), args);
  await control.linesUntil('end');
  return { start: () => timed(control), close: () => control.close() };
}

async function timed(control: LineProcess): Promise<number> {
  control.ask();
  const [ms, byte] = await control.linesUntil('end');
  if (byte !== 'x') throw new Error(`the program said ${byte}, not x`);
  return Number(ms);
}
