import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { after, before, suite, type TestContext, test } from 'node:test';
import { readTar, type TarHeader } from '../../lib/archive/tar.ts';
import type { NewDeployEvent } from '../../lib/deploy-events.ts';
import { HearthError } from '../../lib/errors.ts';
import type { ImageConfig } from '../../lib/oci/types.ts';
import type { ImageRef } from '../../lib/records.ts';
import {
  busybox,
  cannotRun,
  type Files,
  startTestBuilder,
  type TestBuilder,
} from '../testing/test-builder.ts';

const reason = cannotRun();

/** A base with a shell, from nothing: `COPY`s busybox and links its applets. */
const SHELL = [
  'FROM scratch AS shell',
  'COPY busybox /bin/busybox',
  'RUN ["/bin/busybox", "--install", "-s", "/bin"]',
];

suite('buildImage()', { skip: reason ?? false }, () => {
  let builder: TestBuilder;
  before(async () => {
    builder = await startTestBuilder();
  });
  after(async () => {
    await builder.stop();
  });

  const withShell = (lines: string[], files: Files = {}): Files => ({
    Dockerfile: [...SHELL, ...lines].join('\n'),
    busybox: busybox(),
    ...files,
  });

  /** The image as the registry has it: its configuration and the entries of each layer. */
  async function inspect({ repository, digest }: ImageRef) {
    const { manifest } = await builder.registry.getManifest(repository, digest);
    const bytes = await buffer(await builder.registry.getBlob(repository, manifest.config));
    const layers: (TarHeader & { text: string })[][] = [];
    for (const layer of manifest.layers) {
      const entries: (TarHeader & { text: string })[] = [];
      const blob = await builder.registry.getBlob(repository, layer);
      for await (const { body, ...header } of readTar(blob as AsyncIterable<Buffer>)) {
        const text = (await buffer(body)).toString('utf8', 0, 200);
        entries.push({ ...header, text });
      }
      layers.push(entries);
    }
    return { config: JSON.parse(bytes.toString()) as ImageConfig, layers };
  }

  function assertTidy(): void {
    assert.deepEqual(readdirSync(join(builder.dir, 'builder/work')), []);
  }

  test('makes layers of COPY and RUN, with owners, modes and whiteouts', async () => {
    const files = withShell(
      [
        'COPY --chown=7:8 --chmod=640 conf/ /etc/app/',
        'RUN echo two > /etc/app/b && rm /etc/app/a && mkdir -m 0711 /var && ln -s b /etc/app/link',
        'ENV A=1',
        'USER 1234',
        'WORKDIR /srv/app',
        'CMD ["httpd"]',
      ],
      { 'conf/a': 'one', 'conf/sub/c': 'three' },
    );
    const { built } = await builder.build(files);
    const { config, layers } = await inspect(built.image);
    assert.deepEqual(config.config, {
      Env: ['A=1'],
      User: '1234',
      WorkingDir: '/srv/app',
      Cmd: ['httpd'],
    });
    assert.equal(config.rootfs.diff_ids.length, 5);
    assert.equal(config.history?.filter((entry) => entry.empty_layer !== true).length, 5);
    const shown = layers
      .slice(2)
      .map((entries) =>
        entries.map(
          (e) => `${e.mode.toString(8)} ${e.uid}:${e.gid} ${e.name} ${e.linkname ?? e.text}`,
        ),
      );
    assert.deepEqual(shown, [
      [
        '755 7:8 etc/ ',
        '640 7:8 etc/app/ ',
        '640 7:8 etc/app/a one',
        '640 7:8 etc/app/sub/ ',
        '640 7:8 etc/app/sub/c three',
      ],
      [
        '755 7:8 etc/ ',
        '640 7:8 etc/app/ ',
        '644 0:0 etc/app/.wh.a ',
        '644 0:0 etc/app/b two\n',
        '777 0:0 etc/app/link b',
        '711 0:0 var/ ',
      ],
      ['755 0:0 srv/ ', '755 0:0 srv/app/ '],
    ]);
    assertTidy();
  });

  test('takes the cache for equal content, whatever its times, and gives the same digest', async () => {
    const lines = ['COPY . /app', 'RUN cat /app/x > /copy'];
    const first = await builder.build(
      withShell(lines, { x: { body: Buffer.from('1'), mtimeMs: 0 } }),
    );
    const again = await builder.build(
      withShell(lines, { x: { body: Buffer.from('1'), mtimeMs: 9e11 } }),
    );
    assert.equal(again.built.image.digest, first.built.image.digest);
    assert.deepEqual(cachedSteps(again.events), [2, 3, 4, 5]);
    const changed = await builder.build(withShell(lines, { x: '2' }));
    assert.notEqual(changed.built.image.digest, first.built.image.digest);
    assert.deepEqual(cachedSteps(changed.events), [2, 3]);
  });

  test('gives the same digest in another builder', async () => {
    const files: Files = {
      Dockerfile: 'FROM scratch\nCOPY a b/ /x/\n',
      a: '1',
      'b/c': '2',
      'b/d': '3',
    };
    const { built } = await builder.build(files);
    const other = await startTestBuilder();
    try {
      const same = await other.build({ ...files, a: { body: Buffer.from('1'), mtimeMs: 5 } });
      assert.equal(same.built.image.digest, built.image.digest);
    } finally {
      await other.stop();
    }
  });

  test('copies from other stages and skips what nothing needs', async () => {
    const { built, events } = await builder.build(
      withShell([
        'FROM shell AS make',
        'RUN mkdir -p /out/deep && echo made > /out/deep/file && ln -s deep/file /out/link',
        'FROM shell AS unused',
        'RUN false',
        'FROM scratch',
        'COPY --from=make /out /result',
        'COPY --from=make /out/link /followed',
        'COPY --from=make /bin/busybo? /bin/',
      ]),
    );
    const { layers } = await inspect(built.image);
    assert.deepEqual(
      layers.map((entries) => entries.map(({ name, type }) => `${type} ${name}`)),
      [
        [
          'directory result/',
          'directory result/deep/',
          'file result/deep/file',
          'symlink result/link',
        ],
        ['file followed'],
        ['directory bin/', 'file bin/busybox'],
      ],
    );
    assert.equal(layers[1]?.[0]?.text, 'made\n');
    assert.ok(!events.some((event) => event.type === 'step' && event.text === 'RUN false'));
  });

  test('says which step failed, with the last lines of its output', async () => {
    const files = withShell(['RUN for i in $(seq 1 30); do echo line $i; done; exit 3']);
    await assert.rejects(builder.build(files), (error) => {
      assert.ok(error instanceof HearthError);
      assert.equal(error.code, 'BuildStepFailed');
      assert.match(error.message, /^step 4\/4 `RUN for i in .*` exited 3$/);
      const tail = error.details?.logTail as string[];
      assert.equal(tail.length, 20);
      assert.equal(tail.at(-1), 'line 30');
      return true;
    });
    assertTidy();
  });

  test('says so when a RUN has nothing to run', async () => {
    const files: Files = { Dockerfile: 'FROM scratch\nRUN echo hi', a: '1' };
    await assert.rejects(builder.build(files), {
      code: 'BuildStepFailed',
      message: 'step 2/2 `RUN echo hi` cannot run: /bin/sh: not found in image',
    });
  });

  test('honours .dockerignore, also for COPY of a folder', async () => {
    const { built } = await builder.build({
      Dockerfile: 'FROM scratch\nCOPY . /app/\n',
      '.dockerignore': '*\n!keep\nkeep/not\n!deep/er/kept\n',
      'keep/a': '1',
      'keep/not/b': '1',
      'deep/er/kept': '1',
      'deep/er/gone': '1',
      other: '1',
    });
    const { layers } = await inspect(built.image);
    const names = layers[0]?.filter(({ type }) => type === 'file').map(({ name }) => name);
    assert.deepEqual(names, ['app/deep/er/kept', 'app/keep/a']);
    await assert.rejects(
      builder.build({
        Dockerfile: 'FROM scratch\nCOPY secret /\n',
        '.dockerignore': 'secret',
        secret: '1',
      }),
      {
        message:
          'Dockerfile:2:1: COPY: secret is not in the build context: .dockerignore excludes it',
      },
    );
  });

  test('names what is near a source that does not exist', async () => {
    await assert.rejects(
      builder.build({ Dockerfile: 'FROM scratch\n\nCOPY pakage.json /', 'package.json': '{}' }),
      {
        code: 'DockerfileInvalid',
        message:
          'Dockerfile:3:1: COPY: pakage.json is not in the build context (did you mean package.json?)',
      },
    );
  });

  test('never follows a link out of the context or of a stage', async () => {
    const outside = { type: 'symlink', linkname: '/etc/hostname' } as const;
    await assert.rejects(builder.build({ Dockerfile: 'FROM scratch\nCOPY outside /o', outside }), {
      code: 'DockerfileInvalid',
      message:
        'Dockerfile:2:1: COPY: outside is not in the build context: it is a link to /etc/hostname, and links do not lead out',
    });
    const { built } = await builder.build(
      withShell(
        [
          'RUN ln -s ../../../../../../etc /rel && mkdir -p /etc && echo mine > /etc/hostname',
          'FROM scratch',
          'COPY --from=0 /rel/hostname /h',
          'COPY . /all/',
          'COPY --from=0 /rel /rel',
        ],
        { outside },
      ),
    );
    const { layers } = await inspect(built.image);
    assert.equal(layers[0]?.[0]?.text, 'mine\n');
    const link = layers[1]?.find(({ name }) => name === 'all/outside');
    assert.deepEqual([link?.type, link?.linkname], ['symlink', '/etc/hostname']);
    const copied = layers[2]?.map(({ name, text }) => `${name} ${text}`);
    assert.deepEqual(copied, ['rel/ ', 'rel/hostname mine\n']);
    const above: Files = { Dockerfile: 'FROM scratch\nCOPY ../../../../etc/passw[d] /\n' };
    await assert.rejects(builder.build(above), { code: 'DockerfileInvalid' });
  });

  test('unpacks archives of ADD, and only those', async () => {
    const { packTar } = await import('../../lib/archive/tar.ts');
    const { gzipSync } = await import('node:zlib');
    const body = Buffer.from('in');
    const entry = {
      type: 'file',
      mode: 0o600,
      uid: 5,
      gid: 6,
      mtimeMs: 0,
      sizeBytes: 2,
      body,
    } as const;
    const archive = gzipSync(await buffer(packTar([{ ...entry, name: 'd/file' }])));
    const { built } = await builder.build({
      Dockerfile: 'FROM scratch\nADD a.tgz plain /into/\nCOPY a.tgz /kept\n',
      'a.tgz': { body: archive },
      plain: 'text',
    });
    const { layers } = await inspect(built.image);
    assert.deepEqual(
      layers.map((entries) => entries.map(({ name, uid }) => `${uid} ${name}`)),
      [['0 into/', '0 into/d/', '5 into/d/file', '0 into/plain'], ['0 kept']],
    );
  });

  test('ends a RUN when the build is cancelled, and leaves nothing', async () => {
    const cancel = new AbortController();
    const events: NewDeployEvent[] = [];
    const building = builder.build(withShell(['RUN echo started; sleep 600']), {
      signal: cancel.signal,
      events,
    });
    const cancelled = assert.rejects(building, { code: 'BuildCancelled' });
    const isStarted = (): boolean =>
      events.some((event) => event.type === 'output' && event.text === 'started');
    await Promise.race([cancelled, until(isStarted)]);
    cancel.abort(new HearthError('BuildCancelled', 'build was cancelled'));
    await cancelled;
    assertTidy();
  });

  test('gives RUN the build arguments, and keeps them out of image and history', async () => {
    const lines = [
      'ARG TOKEN=none',
      'ARG OTHER=o',
      'RUN test "$TOKEN" = s3"cret" && echo $OTHER > /o',
    ];
    const { built } = await builder.build(withShell(lines), {
      spec: { buildArgs: { TOKEN: 's3cret' } },
    });
    const { config } = await inspect(built.image);
    assert.ok(!JSON.stringify(config).includes('s3cret'));
    await assert.rejects(builder.build(withShell(lines)), { code: 'BuildStepFailed' });
  });

  test('runs as the USER of the image’s own accounts', async () => {
    const { events } = await builder.build(
      withShell(
        ['COPY passwd /etc/passwd', 'USER app', 'RUN id -u; id -g', 'USER 5:6', 'RUN id -u; id -g'],
        { passwd: 'app:x:77:78::/:/bin/sh\n' },
      ),
    );
    const lines = events.flatMap((event) => (event.type === 'output' ? [event.text] : []));
    assert.deepEqual(lines, ['77', '78', '5', '6']);
  });

  test('gives a RUN the groups that an instance of the same USER has', async () => {
    const accounts = { passwd: 'app:x:77:78::/:/bin/sh\n', group: 'log:x:44:app\n' };
    const lines = ['COPY passwd group /etc/', 'USER app', 'RUN id -G'];
    const { events } = await builder.build(withShell(lines, accounts));
    const said = events.flatMap((event) => (event.type === 'output' ? [event.text] : []));
    assert.deepEqual(said, ['78 44']);
  });

  test('tells of a missing base image what there is', async () => {
    await assert.rejects(builder.build({ Dockerfile: 'FROM hearth/node:99' }), {
      code: 'BaseImageNotFound',
      message: 'hearth/node:99: tag not found; available: 24',
    });
  });

  test('refuses before anything runs', async () => {
    const events: NewDeployEvent[] = [];
    const files = withShell(['RUN echo ran', 'HEALTHCHECK CMD true']);
    await assert.rejects(builder.build(files, { events }), { code: 'UnsupportedInstruction' });
    assert.deepEqual(events, []);
  });

  test('builds a folder without a Dockerfile on the machine’s own Node', async (t: TestContext) => {
    const { built, events } = await builder.build(
      { 'index.js': 'export default () => "hi"\n', 'package.json': '{"type":"module"}' },
      { spec: { runtime: 'node', handler: 'index.js' } },
    );
    assert.equal(built.contract, 'socket');
    const { config, layers } = await inspect(built.image);
    assert.equal(config.config?.User, '65532');
    assert.deepEqual(config.config?.Cmd, ['node', '/opt/hearth/guest/node/main.js']);
    assert.ok(config.config?.Env?.includes('HEARTH_HANDLER=index.js'));
    const app = layers.at(-1)?.map(({ name, uid }) => `${uid} ${name}`);
    assert.deepEqual(app, ['0 app/', '65532 app/index.js', '65532 app/package.json']);
    t.diagnostic(`${events.length} events`);
  });

  test('runs node, npm and python in the built-in images', async () => {
    const { events } = await builder.build({
      Dockerfile: [
        'FROM hearth/node:24 AS node',
        'RUN node --version && npm --version && test -r /etc/ssl/certs/ca-certificates.crt',
        'FROM hearth/python:3',
        'COPY --from=node /etc/passwd /p',
        'RUN python3 -c "import ssl, json, sqlite3; print(json.dumps(1))" && id -un',
      ].join('\n'),
    });
    const lines = events.flatMap((event) => (event.type === 'output' ? [event.text] : []));
    assert.match(lines[0] ?? '', /^v24\./);
    assert.deepEqual(lines.slice(-2), ['1', 'root']);
  });
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10).unref());
}

function cachedSteps(events: readonly NewDeployEvent[]): number[] {
  return events.flatMap((event) =>
    event.type === 'step-done' && event.cached ? [event.step] : [],
  );
}
