import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { silentLog } from '../../lib/telemetry/log.ts';
import { parseRunRequest } from '../api/parse-run-request.ts';
import type { ContainerSpec } from '../engine/container-spec.ts';
import type { Container } from '../engine/engine-types.ts';
import { Logs } from '../logs/logs.ts';
import { ProcessEngine } from '../testing/process-engine.ts';
import { ContainerFiles } from './container-files.ts';
import { Containers } from './containers.ts';
import { runContainer } from './run-container.ts';

let root = '';
before(() => {
  root = mkdtempSync(join(tmpdir(), 'hearth-run-'));
});
after(() => rmSync(root, { recursive: true, force: true }));

/** An engine of which something comes between a container's start and its record. */
class WatchedEngine extends ProcessEngine {
  readonly #onStarted: (id: string) => unknown;

  constructor(onStarted: (id: string) => unknown) {
    super();
    this.#onStarted = onStarted;
  }

  override async start(spec: ContainerSpec): Promise<Container> {
    const container = await super.start(spec);
    await this.#onStarted(spec.id);
    return container;
  }
}

const REF = { repository: 'box', digest: `sha256:${'0'.repeat(64)}` } as const;
const RUN = parseRunRequest({ image: REF });

/** What a run needs, in folders of its own. */
function partsFor(engine: ProcessEngine) {
  const folder = mkdtempSync(join(root, 'agent-'));
  const [records, logFolder] = [join(folder, 'containers'), join(folder, 'container-logs')];
  for (const made of [records, logFolder]) mkdirSync(made);
  const log = silentLog();
  const onDropped = (): void => {};
  const logs = new Logs({ folder, containersFolder: logFolder, log, onDropped });
  const config = { architecture: 'amd64', os: 'linux', config: { Cmd: ['sleep', '60'] } };
  const image = { ref: REF, config, layers: [] };
  const images = { ensure: async () => ({ image, pulled: false, pullMs: 0 }) } as never;
  const files = new ContainerFiles(records);
  const more = { registry: undefined, resolvConf: '', node: 'n1', writable: 'memory' as const };
  return { records, logFolder, parts: { engine, logs, log, images, files, ...more } };
}

test('nothing is left of a container whose record could not be written once it ran', async () => {
  const id = 'c-000000000001';
  const engine: ProcessEngine = new WatchedEngine(() => {
    parts.logs.forContainer(id).system('said before the end');
    rmSync(join(records, `${id}.json`));
    // A file cannot be renamed to the name of a folder that has something in it
    mkdirSync(join(records, `${id}.json`, 'in-the-way'), { recursive: true });
  });
  const { parts, records, logFolder } = partsFor(engine);
  await assert.rejects(runContainer(parts, RUN, { id, name: 'box' }), { code: 'EISDIR' });
  assert.equal(engine.containers.size, 0);
  assert.deepEqual(readdirSync(records), [`${id}.json`]);
  assert.ok(!existsSync(join(logFolder, id)));
});

test('a container that starts while the agent stops has ended when that is said', async () => {
  let closed: Promise<void> | undefined;
  const engine = new WatchedEngine(() => {
    closed = containers.close(1_000);
  });
  const containers: Containers = new Containers({
    ...partsFor(engine).parts,
    refusal: () => undefined,
  });
  await assert.rejects(containers.run(RUN), { code: 'ShuttingDown' });
  assert.deepEqual(
    containers.all().map(({ info }) => info.state),
    ['exited'],
  );
  await closed;
});
