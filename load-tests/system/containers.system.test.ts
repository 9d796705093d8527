import assert from 'node:assert/strict';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, suite, test } from 'node:test';
import type { ContainerInfo, EventInfo } from '../../lib/container-api.ts';
import { MIB } from '../../lib/limits.ts';
import { makeFolder } from './folder.ts';
import { Platform, until, whyNotHere } from './platform.ts';

/** Containers as a user of the command line meets them, through gateway and agent, on a real platform. */

const DOCKERFILE = `
FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
RUN mkdir -p /www /tmp && echo from-image > /www/index.html
CMD ["sh", "-c", "httpd -f -p $PORT -h /www"]
`;

const IMAGE = 'functions/box:g1';

suite('containers', { skip: whyNotHere('busybox', 'runc') }, () => {
  let platform: Platform;
  before(async () => {
    platform = await new Platform().up();
    const box = makeFolder(join(platform.folder, 'box'), { Dockerfile: DOCKERFILE });
    copyFileSync('/bin/busybox', join(box, 'busybox'));
    // An instance to look into; one of Node's would unpack an image of 140 MiB first
    await platform.well('deploy', box, '--min', '1');
  });
  after(() => platform.end());

  const run = (...args: string[]) => platform.hearth(['run', '--rm', ...args]);
  const list = async (): Promise<ContainerInfo[]> =>
    JSON.parse(await platform.well('ps', '-a', '--json'));

  test('run shows both streams and ends with the program’s exit code', async () => {
    const [ran, killed, oom, named] = await Promise.all([
      run(IMAGE, 'sh', '-c', 'echo out; echo err >&2; exit 5'),
      run(IMAGE, 'sh', '-c', 'kill -9 $$'),
      run('--memory', '16Mi', IMAGE, 'tail', '/dev/zero'),
      run('box', 'sh', '-c', 'echo $PORT'),
    ]);
    assert.deepEqual(ran, { exit: 5, out: 'out\n', err: 'err\n' });
    assert.equal(killed.exit, 137);
    assert.deepEqual(named, { exit: 0, out: '8080\n', err: '' });
    assert.match(oom.err, /ran out of memory; --memory gives it more/);
    assert.ok((await list()).every(({ functionName }) => functionName !== undefined));
  });

  test('mistakes are told with what would be right', async () => {
    const rows: [string[], RegExp][] = [
      [['functions/box:zz'], /functions\/box:zz.*available: g1/s],
      [[IMAGE, '/nosuch'], /\/nosuch: not found in image/],
      [['-v', '/etc:/x', IMAGE, 'true'], /bind path "\/etc" is not allowed.*bindPaths/s],
      [['--network', 'nosuch', IMAGE, 'true'], /network "nosuch"/],
      [['--runtime', 'runk', IMAGE, 'true'], /runk.*did you mean runc|runc/s],
      [['--memory', '900Gi', IMAGE, 'true'], /memoryBytes must be/],
      [['-p', '99999:1', IMAGE, 'true'], /99999/],
      [['-w', '/nowhere', IMAGE, 'true'], /working folder "\/nowhere" does not exist/],
      [['--disk', '256Gi', IMAGE, 'true'], /no room for a writable layer of 256 GiB on disk/],
      [['-it', IMAGE, 'sh'], /run has no -i and no -t.*hearth exec -it/s],
    ];
    const all = rows.map(async ([args, expected]) => {
      const { exit, err } = await run(...args);
      assert.ok(exit !== 0 && exit !== null, args.join(' '));
      assert.match(err, expected, args.join(' '));
      assert.ok(!err.includes('    at '), err);
    });
    await Promise.all(all);
    assert.ok((await list()).every(({ functionName }) => functionName !== undefined));
  });

  test('containers on a network reach each other by name; a volume and a port lead to them', async () => {
    const port = await freePort();
    await Promise.all([
      platform.well('network', 'create', 'back'),
      platform.well('volume', 'create', 'data'),
    ]);
    const program = ['sh', '-c', 'echo in-volume > /www/index.html; exec httpd -f -p 80 -h /www'];
    const more = ['--network', 'back', '-p', `127.0.0.1:${port}:80`, '-v', 'data:/www'];
    await platform.well('run', '-d', '--name', 'web', ...more, IMAGE, ...program);
    await until(
      async () => (await fetched(port)) === 'in-volume\n',
      () => 'the published port answers',
    );
    const [other, alone, volume, network] = await Promise.all([
      run('--network', 'back', IMAGE, 'wget', '-qO-', 'http://web/'),
      run(IMAGE, 'wget', '-T', '1', '-qO-', 'http://web/'),
      platform.hearth(['volume', 'rm', 'data']),
      platform.hearth(['network', 'rm', 'back']),
    ]);
    assert.equal(other.out, 'in-volume\n', other.err);
    assert.notEqual(alone.exit, 0);
    assert.match(volume.err, /is used by|in use/);
    assert.match(network.err, /in use/);
    assert.equal(await platform.well('stop', 'web'), 'web\n');
    assert.equal(await platform.well('container', 'wait', 'web'), '143\n');
    assert.equal((await list()).find(({ name }) => name === 'web')?.state, 'exited');
    await platform.well('container', 'prune');
    assert.equal((await run('-v', 'data:/d:ro', IMAGE, 'cat', '/d/index.html')).out, 'in-volume\n');
    assert.notEqual((await run('-v', 'data:/d:ro', IMAGE, 'touch', '/d/x')).exit, 0);
    await platform.well('volume', 'rm', 'data');
    await platform.well('network', 'rm', 'back');
  });

  test('exec in a container and in an instance of a function, with input, exit code and user', async () => {
    await platform.well('run', '-d', '--name', 'sleeper', IMAGE, 'sleep', '1000');
    const exec = (...words: string[]) => platform.hearth(['exec', ...words]);
    const [echo, code, piped, id, page] = await Promise.all([
      exec('sleeper', 'echo', '-n', 'x'),
      exec('sleeper', 'sh', '-c', 'exit 3'),
      platform.hearth(['exec', '-i', 'sleeper', 'wc', '-c'], { input: 'abc' }),
      exec('-u', '7:8', 'sleeper', 'id'),
      exec('box', 'cat', '/www/index.html'),
    ]);
    assert.deepEqual(echo, { exit: 0, out: 'x', err: '' });
    assert.equal(code.exit, 3);
    assert.equal(piped.out.trim(), '3');
    assert.match(id.out, /uid=7 gid=8/);
    assert.equal(page.out, 'from-image\n', page.err);
    // An error is told whatever there is to send
    const input = 'x'.repeat(4 * MIB);
    const missing = await platform.hearth(['exec', '-i', 'sleeper', 'nosuch'], { input });
    assert.match(missing.err, /^error: nosuch: not found/);
  });

  test('a program on a terminal begins before anything is typed, and has its size', {
    skip: whyNotHere('script'),
  }, async () => {
    const program = 'stty size; echo begun; read line; echo "typed $line"; exit 9';
    const ran = await platform.onTerminal(['exec', '-it', 'sleeper', 'sh', '-c', program], {
      after: 'begun',
      type: 'hello\n',
    });
    assert.equal(ran.exit, 9, ran.out);
    assert.match(ran.out, /^\d+ \d+\r\nbegun\r\n(hello\r\n)?typed hello\r\n$/);
  });

  test('a run whose reader has gone is stopped and removed', async () => {
    const { exit } = await platform.hearth(['run', '--rm', '--name', 'endless', IMAGE, 'yes'], {
      onStart: ({ stdout }) => stdout?.once('data', () => stdout.destroy()),
    });
    assert.equal(exit, 0);
    assert.equal(
      (await list()).find(({ name }) => name === 'endless'),
      undefined,
    );
  });

  test('cp brings files out and in, and follows no link out of the container', async () => {
    const at = (name: string): string => join(platform.folder, name);
    await platform.well('cp', 'sleeper:/www/index.html', at('copied'));
    assert.equal(readFileSync(at('copied'), 'utf8'), 'from-image\n');
    writeFileSync(at('new'), 'from outside');
    await platform.well('cp', at('new'), 'sleeper:/tmp/');
    assert.equal(await platform.well('exec', 'sleeper', 'cat', '/tmp/new'), 'from outside');
    await platform.well('exec', 'sleeper', 'ln', '-s', '/etc/hostname', '/tmp/link');
    await platform.well('cp', 'sleeper:/tmp', at('tree'));
    assert.equal(readFileSync(at('tree/new'), 'utf8'), 'from outside');
    await platform.well('exec', 'sleeper', 'ln', '-s', '../../../../../..', '/tmp/up');
    const out = await platform.hearth([
      'cp',
      `sleeper:/tmp/up${platform.folder}/new`,
      at('stolen'),
    ]);
    assert.equal(out.exit, 3, out.err);
  });

  test('pause, unpause, stats, events, inspect, logs', async () => {
    await platform.well('container', 'pause', 'sleeper');
    assert.equal((await list()).find(({ name }) => name === 'sleeper')?.state, 'paused');
    assert.notEqual((await platform.hearth(['exec', 'sleeper', 'true'])).exit, 0);
    await platform.well('container', 'unpause', 'sleeper');
    assert.match(
      await platform.well('stats', '--no-stream', 'sleeper'),
      /^sleeper +\d.*\d+ \/ \d+$/m,
    );
    const [info] = JSON.parse(await platform.well('container', 'inspect', 'sleeper'));
    assert.deepEqual([info?.name, info?.state, info?.image], ['sleeper', 'running', IMAGE]);
    const paused = await platform.hearth(['container', 'pause', idOf(await list(), 'box')]);
    assert.equal(paused.exit, 5, 'an instance is its function’s');
    await platform.well('container', 'rm', '-f', 'sleeper');
    const events = await eventsOf(platform, info?.id ?? '');
    const actions = events.map(({ action }) => action).filter((action) => action !== 'exec');
    assert.deepEqual(actions, ['create', 'start', 'pause', 'unpause', 'kill', 'die', 'destroy']);
  });

  test('logs outlive the container’s end, with their times', async () => {
    await platform.well(
      'run',
      '-d',
      '--name',
      'brief',
      IMAGE,
      'sh',
      '-c',
      'echo one; echo two >&2',
    );
    await until(
      async () => (await list()).find(({ name }) => name === 'brief')?.state === 'exited',
      () => 'brief ends',
    );
    const lines = (await platform.well('container', 'logs', 'brief', '--json')).trim().split('\n');
    const said = lines.map((line) => JSON.parse(line)).filter(({ stream }) => stream !== 'system');
    assert.deepEqual(said.map((line) => [line.stream, line.text]).sort(), [
      ['stderr', 'two'],
      ['stdout', 'one'],
    ]);
    await platform.well('container', 'rm', 'brief');
  });

  test('runc runs it as well, with the same limits', async () => {
    const program = 'grep -E "^(NoNewPrivs|Seccomp):" /proc/self/status; id -u';
    const { exit, out, err } = await run('--runtime', 'runc', IMAGE, 'sh', '-c', program);
    assert.deepEqual([exit, out], [0, 'NoNewPrivs:\t1\nSeccomp:\t2\n0\n'], err);
  });

  test('a container and its name survive the agent; one that ends meanwhile has its exit code', async () => {
    await platform.well('run', '-d', '--name', 'lasting', IMAGE, 'sleep', '1000');
    await platform.well('run', '-d', '--name', 'ending', IMAGE, 'sh', '-c', 'sleep 1; exit 4');
    process.kill(platform.pidOf('node-agent'), 'SIGKILL');
    await until(
      async () => {
        const ran = await platform.hearth(['ps', '-a', '--json']);
        if (ran.exit !== 0) return false;
        const found = (JSON.parse(ran.out) as ContainerInfo[]).filter((one) => !one.functionName);
        const states = found.map(
          ({ name, state, exitCode }) => `${name} ${state} ${exitCode ?? ''}`,
        );
        return states.sort().join() === 'ending exited 4,lasting running ';
      },
      () => 'both are known again',
    );
    await platform.well('container', 'rm', '-f', 'lasting', 'ending');
  });
});

function idOf(containers: readonly ContainerInfo[], functionName: string): string {
  return containers.find((one) => one.functionName === functionName)?.id ?? '';
}

async function eventsOf(platform: Platform, id: string): Promise<EventInfo[]> {
  const lines = (await platform.well('events', '--json', '--container', id)).trim().split('\n');
  return lines.map((line) => JSON.parse(line) as EventInfo);
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

function fetched(port: number): Promise<string> {
  return new Promise((resolve) => {
    const request = get({ port, host: '127.0.0.1', agent: false }, (answer) => {
      text(answer).then(resolve, () => resolve(''));
    });
    request.on('error', () => resolve(''));
  });
}
