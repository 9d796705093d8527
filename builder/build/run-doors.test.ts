import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { HearthError } from '../../lib/errors.ts';
import {
  busybox,
  cannotRun,
  type Files,
  startTestBuilder,
  type TestBuilder,
} from '../testing/test-builder.ts';

const reason = cannotRun();

/** CVE-2024-21626 in a build. */
suite('a RUN has no door to the host', { skip: reason ?? false }, () => {
  let builder: TestBuilder;
  before(async () => {
    builder = await startTestBuilder();
  });
  after(() => builder.stop());
  const withShell = (lines: string[]): Files => ({
    Dockerfile: [
      'FROM scratch',
      'COPY busybox /bin/busybox',
      'RUN ["/bin/busybox", "--install", "-s", "/bin"]',
      ...lines,
    ].join('\n'),
    busybox: busybox(),
  });

  test('it sees descriptors 0, 1, 2', async () => {
    const { events } = await builder.build(withShell(['RUN ls /proc/self/fd']));
    const said = events.flatMap((event) => (event.type === 'output' ? [event.text] : []));
    // The fourth is the folder that ls itself reads
    assert.deepEqual(said, ['0', '1', '2', '3']);
  });

  test('no working folder is one of the host', async () => {
    for (const folder of ['/proc/self/fd/8', '/proc/1/root', '/proc/self/cwd']) {
      const lines = [`WORKDIR ${folder}`, 'RUN ls ../../../etc'];
      await assert.rejects(builder.build(withShell(lines)), HearthError, folder);
    }
  });
});
