import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { LIMITS } from '../../lib/limits.ts';
import { DEFAULT_CAPABILITIES } from '../../node-agent/engine/seccomp/capabilities.ts';
import { missingForCompile } from '../../node-agent/engine/testing/compile.ts';
import type { ProbedPlace } from '../../node-agent/engine/testing/escape-facts.ts';
import {
  installProbe,
  namespacesOf,
  PROBE_COMMAND,
  wrongRows,
} from '../../node-agent/engine/testing/escape-probe.ts';
import {
  busybox,
  cannotRun,
  type Files,
  startTestBuilder,
  type TestBuilder,
} from '../testing/test-builder.ts';

const reason = cannotRun() ?? missingForCompile();

/** The doors of ESC-P and of the CVE table, tried by the steps of a build. */
suite('doors out of a RUN', { skip: reason ?? false }, () => {
  let builder: TestBuilder;
  let probe: Buffer;
  before(async () => {
    builder = await startTestBuilder();
    const layer = join(builder.dir, 'probe');
    mkdirSync(join(layer, 'bin'), { recursive: true });
    installProbe({ layer });
    probe = readFileSync(join(layer, 'bin/probe'));
  });
  after(async () => {
    await builder.stop();
  });

  const withPrograms = (lines: string[]): Files => ({
    Dockerfile: [
      'FROM scratch',
      'COPY busybox probe /bin/',
      'COPY self /self',
      'RUN ["/bin/busybox", "--install", "-s", "/bin"]',
      ...lines,
    ].join('\n'),
    busybox: busybox(),
    probe: { mode: 0o755, body: probe },
    self: { mode: 0o755, body: Buffer.from('#!/proc/self/exe\n') },
  });
  const outputOf = async (lines: string[]): Promise<string> => {
    const { events } = await builder.build(withPrograms(lines));
    return events.map((event) => (event.type === 'output' ? event.text : '')).join('\n');
  };
  const run = (argv: readonly string[]) => `RUN ${JSON.stringify(argv)}`;

  for (const uid of [0, 10_001]) {
    test(`ESC-P: every row is as required for uid ${uid}`, async () => {
      const said = await outputOf([`USER ${uid}`, run(PROBE_COMMAND)]);
      const place: ProbedPlace = {
        uid,
        capabilities: DEFAULT_CAPABILITIES,
        hostname: 'build',
        openFiles: LIMITS.instanceOpenFiles,
        hostPaths: [builder.dir],
        others: [namespacesOf('self')],
      };
      assert.deepEqual(wrongRows(said, place), []);
    });
  }

  test('CVE-2024-21626: no WORKDIR of a step is a descriptor of the host', async () => {
    const folders = ['/proc/self/fd/8', '/proc/self/fd/66', '/proc/self/cwd', '/proc/1/root'];
    for (const folder of folders) {
      const steps = [`WORKDIR ${folder}`, run(['/bin/busybox', 'ls', '..'])];
      await assert.rejects(outputOf(steps), { code: 'BuildStepFailed' }, folder);
    }
  });

  test('CVE-2019-5736: no step reaches the launcher’s program', async () => {
    const digest = () => createHash('sha256').update(readFileSync(process.execPath)).digest('hex');
    const before = digest();
    for (const argv of [['/proc/self/exe'], ['/self']]) {
      await assert.rejects(outputOf([run(argv)]), { code: 'BuildStepFailed' }, argv[0]);
    }
    const scan =
      'for p in /proc/[0-9]*; do (: >> $p/exe) 2>/dev/null && echo "open $p"; done; true';
    assert.doesNotMatch(await outputOf([`RUN ${scan}`]), /open/);
    assert.equal(digest(), before);
  });

  test('CVE-2016-9962: a step has descriptors 0, 1 and 2', async () => {
    const said = await outputOf(['RUN ls /proc/self/fd | tr "\\n" " "']);
    // And the folder that ls itself reads
    assert.match(said, /^0 1 2 3 $/m);
  });
});
