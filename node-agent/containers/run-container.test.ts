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
import { runContainer } from './run-container.ts';

let root = '';
before(() => {
  root = mkdtempSync(join(tmpdir(), 'hearth-run-'));
});
after(() => rmSync(root, { recursive: true, force: true }));

/** An engine that begins a container, lets it speak, and then takes the place of its record. */
class SpoilingEngine extends ProcessEngine {
  readonly spoil: (id: string) => void;
  started: Container | undefined;

  constructor(spoil: (id: string) => void) {
    super();
    this.spoil = spoil;
  }

  override async start(spec: ContainerSpec): Promise<Container> {
    this.started = await super.start(spec);
    this.spoil(spec.id);
    return this.started;
  }
}

test('nothing is left of a container whose record could not be written once it ran', async () => {
  const [records, logFolder] = [join(root, 'containers'), join(root, 'container-logs')];
  for (const folder of [records, logFolder]) mkdirSync(folder);
  const id = 'c-000000000001';
  const logs = new Logs({
    folder: join(root, 'logs'),
    containersFolder: logFolder,
    log: silentLog(),
    onDropped: () => {},
  });
  const engine = new SpoilingEngine(() => {
    logs.forContainer(id).system('said before the end');
    rmSync(join(records, `${id}.json`));
    // A file cannot be renamed to the name of a folder that has something in it
    mkdirSync(join(records, `${id}.json`, 'in-the-way'), { recursive: true });
  });
  const config = { architecture: 'amd64', os: 'linux', config: { Cmd: ['sleep', '60'] } };
  const ref = { repository: 'box', digest: `sha256:${'0'.repeat(64)}` } as const;
  const image = { ref, config, layers: [] } as never;
  const ensure = async () => ({ image, pulled: false, pullMs: 0 });
  const parts = {
    engine,
    logs,
    images: { ensure } as never,
    registry: undefined,
    files: new ContainerFiles(records),
    resolvConf: '',
    node: 'n1',
    writable: 'memory' as const,
  };
  const run = parseRunRequest({ image: ref });
  await assert.rejects(runContainer(parts, run, { id, name: 'box' }), { code: 'EISDIR' });
  assert.ok(engine.started !== undefined);
  assert.equal(engine.containers.size, 0);
  assert.deepEqual(readdirSync(records), [`${id}.json`]);
  assert.ok(!existsSync(join(logFolder, id)));
});
