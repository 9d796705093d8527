/**
 * An engine in a process of its own, for measurements: does one start for every line it reads, and
 * says as JSON how long the first byte took and what the program, which is `/first-byte` of the layer
 * folder in its first argument, said. Second argument: `none` or `bridge`; third: blanks kept ready.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { createEngine } from '../engine.ts';
import type { Engine } from '../engine-types.ts';
import { engineOptions, makeSpec } from './engine-world.ts';

/** Until what is made ahead for the next start is there: a blank, or a network slot as well. */
const SETTLE_MS = { none: 60, bridge: 400 };
const FIRST_SETTLE_MS = 3_000;

const [layer = '', network = 'none', blanks = '2'] = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), 'hearth-timing-'));
const options = { ...engineOptions(folder), blanks: Number(blanks), networkSlots: 2 };
const engine = await createEngine(options);
try {
  await sleep(FIRST_SETTLE_MS);
  console.log('{}');
  for await (const _ of createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await startOnce(engine)));
  }
} finally {
  await engine.close();
  rmSync(folder, { recursive: true, force: true });
}

interface TimedStart {
  ms: number;
  timings: { queueMs: number; spawnMs: number };
  said: string;
}

async function startOnce(engine: Engine): Promise<TimedStart> {
  const spec = makeSpec(layer, ['/first-byte'], { network, user: { uid: 1, gid: 1, groups: [] } });
  const beganMs = performance.now();
  const container = await engine.start(spec);
  let said = '';
  const ms = await new Promise<number>((resolve) => {
    container.onOutput((_, chunk) => {
      if (said === '') resolve(performance.now() - beganMs);
      said += chunk.toString();
    });
  });
  await container.exited;
  const { timings } = container;
  await container.remove();
  await sleep(network === 'bridge' ? SETTLE_MS.bridge : SETTLE_MS.none);
  return { ms, timings, said };
}
