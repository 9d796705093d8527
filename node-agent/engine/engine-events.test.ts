import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { createEngine } from './engine.ts';
import type { EngineEvent } from './engine-event.ts';
import type { Engine, EngineOptions } from './engine-types.ts';
import { makeBusyboxLayer, missingForContainers } from './testing/busybox-layer.ts';
import { ended, engineOptions, makeSpec, says } from './testing/engine-world.ts';

const skip = missingForContainers() ?? false;
const LABELS = { 'hearth.function': 'hello' };

/** Events of one container, as `action` and what it says. */
function story(events: readonly EngineEvent[], id: string): unknown[] {
  return events
    .filter((event) => event.id === id)
    .map(({ action, attributes }) => [action, attributes]);
}

function makeFolder(t: TestContext): { layer: string; options: EngineOptions } {
  const folder = mkdtempSync(join(tmpdir(), 'hearth-events-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return { layer: makeBusyboxLayer(join(folder, 'layer')), options: engineOptions(folder) };
}

async function listen(t: TestContext, options: EngineOptions) {
  const events: EngineEvent[] = [];
  const engine: Engine = await createEngine({ ...options, onEvent: (event) => events.push(event) });
  t.after(() => engine.close());
  return { engine, events };
}

describe('events of the engine', { skip }, () => {
  test('tell a life in order, with the labels, for each way it can end', async (t) => {
    const { layer, options } = makeFolder(t);
    const { engine, events } = await listen(t, options);
    const spec = (argv: string[]) => makeSpec(layer, argv, { labels: LABELS });

    const plain = await engine.start(spec(['sh', '-c', 'exit 7']));
    await ended(plain);
    assert.deepEqual(story(events, plain.id), [
      ['create', {}],
      ['start', {}],
      ['die', { exitCode: 7, oomKilled: false }],
      ['destroy', {}],
    ]);
    assert.ok(events.every(({ labels, timeMs }) => labels === LABELS && timeMs <= Date.now()));

    const killed = await engine.start(
      spec(['sh', '-c', 'trap : TERM; echo up; sleep 60 & wait; wait']),
    );
    await says(killed, /up/);
    killed.signal('SIGTERM');
    await killed.kill({ afterGrace: true });
    await killed.remove();
    assert.deepEqual(story(events, killed.id), [
      ['create', {}],
      ['start', {}],
      ['kill', { signal: 15 }],
      ['kill', { signal: 9, afterGrace: true }],
      ['die', { signal: 9, oomKilled: false }],
      ['destroy', {}],
    ]);

    const missing = spec(['nothing']);
    await assert.rejects(engine.start(missing), { code: 'EntrypointNotFound' });
    assert.deepEqual(story(events, missing.id), [
      ['create', {}],
      ['destroy', {}],
    ]);
  });

  test('tell of memory that ran out, with its limit and the peak', async (t) => {
    const { layer, options } = makeFolder(t);
    const { engine, events } = await listen(t, options);
    const memoryBytes = 32 * 1024 * 1024;
    const spec = makeSpec(layer, ['sh', '-c', 'x=$(yes | head -c 100000000)']);
    const resources = { ...spec.resources, memoryBytes };
    const container = await engine.start({ ...spec, resources });
    await ended(container);
    const oom = events.findIndex(({ action }) => action === 'oom');
    const { limitBytes, peakBytes } = events[oom]?.attributes ?? {};
    assert.equal(limitBytes, memoryBytes);
    assert.ok(typeof peakBytes === 'number' && peakBytes <= memoryBytes);
    const die = events.findIndex(({ action }) => action === 'die');
    assert.ok(oom < die);
    assert.equal(events[die]?.attributes.oomKilled, true);
  });

  test('go on for an adopted container, and tell of one that ended unseen', async (t) => {
    const { layer, options } = makeFolder(t);
    const first = await createEngine(options);
    t.after(() => first.close());
    const start = () => first.start(makeSpec(layer, ['sleep', '60'], { labels: LABELS }));
    const [lives, ends] = [await start(), await start()];
    await first.close({ keepContainers: true });
    process.kill(ends.pid, 'SIGKILL');
    const { engine, events } = await listen(t, options);
    const all = await engine.adopt();
    const [adopted, unseen] = [lives, ends].map(({ id }) => all.find((one) => one.id === id));
    assert.ok(adopted !== undefined && unseen !== undefined);
    assert.equal((await unseen.exited).signal, 9);
    await unseen.remove();
    assert.deepEqual(
      story(events, ends.id).map((told) => (told as [string])[0]),
      ['die', 'destroy'],
    );
    assert.deepEqual(story(events, lives.id), []);
    await adopted.remove();
    assert.deepEqual(
      story(events, lives.id).map((told) => (told as [string])[0]),
      ['kill', 'die', 'destroy'],
    );
    assert.ok(events.every(({ labels }) => labels['hearth.function'] === 'hello'));
  });
});
