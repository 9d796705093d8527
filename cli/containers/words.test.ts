import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildProgram } from '../program.ts';
import { landing, parseCopy } from './copy-plan.ts';
import { dockerHint } from './docker-words.ts';
import { ExecFrames } from './exec-frames.ts';
import { exitCodeOf } from './exit-code.ts';
import { runRequest } from './run-request.ts';
import { separateCommand } from './separate-command.ts';

const separated = (line: string): string =>
  separateCommand(
    line.split(' '),
    buildProgram(() => {}),
  ).join(' ');

test('what stands behind the name is the program’s, its options too', () => {
  assert.equal(separated('exec -it web ls -la'), 'exec -it web -- ls -la');
  assert.equal(separated('exec web grep -q x'), 'exec web -- grep -q x');
  assert.equal(separated('exec -e A=1 -w /tmp web env'), 'exec -e A=1 -w /tmp web -- env');
  assert.equal(
    separated('--json run --rm --name a box:1 sh -c x'),
    '--json run --rm --name a box:1 -- sh -c x',
  );
  assert.equal(
    separated('--server http://x exec -u 1 web id'),
    '--server http://x exec -u 1 web -- id',
  );
  assert.equal(separated('run --memory=64Mi box:1'), 'run --memory=64Mi box:1 --');
  assert.equal(separated('exec web -- ls -la'), 'exec web -- ls -la');
});

test('other command lines are left as they are', () => {
  for (const line of [
    'deploy run --name exec',
    'logs -f exec',
    'list --json',
    'exec',
    'exec -it',
  ]) {
    assert.equal(separated(line), line);
  }
});

test('frames come out whole from chunks of any size', () => {
  const frame = (kind: number, text: string): Buffer => {
    const header = Buffer.alloc(8);
    header[0] = kind;
    header.writeUInt32BE(Buffer.byteLength(text), 4);
    return Buffer.concat([header, Buffer.from(text)]);
  };
  const bytes = Buffer.concat([
    frame(1, 'out'),
    frame(2, 'é'),
    frame(1, ''),
    frame(3, '{"code":0}'),
  ]);
  for (const size of [1, 3, 7, 64]) {
    const frames = new ExecFrames();
    const found: string[] = [];
    for (let at = 0; at < bytes.length; at += size) {
      for (const { kind, payload } of frames.push(bytes.subarray(at, at + size))) {
        found.push(`${kind}:${payload}`);
      }
    }
    assert.deepEqual(found, ['stdout:out', 'stderr:é', 'stdout:', 'end:{"code":0}']);
  }
});

test('bytes that are no frame, and a frame that is too large, are refused', () => {
  assert.throws(() => new ExecFrames().push(Buffer.from('HTTP/1.1 200')), /no known form/);
  assert.throws(
    () => new ExecFrames().push(Buffer.from([1, 0, 0, 0, 255, 0, 0, 0])),
    /no known form/,
  );
});

test('a copy names one side in a container', () => {
  assert.deepEqual(parseCopy('web:/etc/hosts', '.'), {
    kind: 'out',
    container: 'web',
    inside: '/etc/hosts',
    local: '.',
    contentsOnly: false,
  });
  assert.equal(parseCopy('./a:b', 'web:').inside, '/');
  assert.equal(parseCopy('web:etc/hosts', '.').inside, '/etc/hosts');
  assert.equal(parseCopy('dir/.', 'web:/srv').contentsOnly, true);
  assert.throws(() => parseCopy('a', 'b'), /neither is NAME:PATH/);
  assert.throws(() => parseCopy('a:/x', 'b:/y'), /both are NAME:PATH/);
});

test('a copy lands by the rules of docker cp', () => {
  const rows: [
    string,
    'folder' | 'file' | 'nothing',
    Partial<Parameters<typeof landing>[0]>,
    string,
  ][] = [
    ['file into a folder', 'folder', {}, '/to/name'],
    ['file over a file', 'file', {}, '/to'],
    ['file with a new name', 'nothing', {}, '/to'],
    [
      'file to a folder that is not there',
      'nothing',
      { wantsFolder: true },
      'the folder does not exist',
    ],
    ['folder into a folder', 'folder', { isFolder: true }, '/to/name'],
    ['folder’s contents into a folder', 'folder', { isFolder: true, contentsOnly: true }, '/to'],
    ['folder with a new name', 'nothing', { isFolder: true, wantsFolder: true }, '/to'],
    ['folder over a file', 'file', { isFolder: true }, 'a folder cannot replace a file'],
  ];
  for (const [what, target, more, expected] of rows) {
    const copy = {
      name: 'name',
      isFolder: false,
      contentsOnly: false,
      target,
      targetPath: '/to',
      wantsFolder: false,
    };
    const found = landing({ ...copy, ...more });
    assert.equal('path' in found ? found.path : found.fault, expected, what);
  }
});

test('a docker word that Hearth lacks is told what serves, and never hides a command', () => {
  const commands = buildProgram(() => {}).commands.flatMap((one) => [one.name(), ...one.aliases()]);
  assert.match(dockerHint('build') ?? '', /hearth deploy/);
  assert.equal(dockerHint('constructor'), undefined);
  for (const command of commands) assert.equal(dockerHint(command), undefined, command);
});

test('run has no terminal to give', () => {
  for (const flags of [{ tty: true }, { interactive: true }]) {
    assert.throws(() => runRequest('box:1', ['sh'], flags), /no -i and no -t/);
  }
  assert.equal(separated('run -it box:1 sh -c x'), 'run -it box:1 -- sh -c x');
  assert.equal(separated('container run --rm box:1 ls -l'), 'container run --rm box:1 -- ls -l');
});

test('exit codes are a shell’s', () => {
  assert.equal(exitCodeOf({ exitCode: 3 }), 3);
  assert.equal(exitCodeOf({ signal: 9 }), 137);
  assert.equal(exitCodeOf({}), 1);
});

test('flags of run become a request; every bad number is told', () => {
  const request = runRequest('box:1', ['sh'], {
    memory: '64Mi',
    cpus: '0.5',
    tmpfs: ['/run:size=1Mi'],
    env: ['A=1'],
  });
  assert.deepEqual(request, {
    image: 'box:1',
    command: ['sh'],
    env: { A: '1' },
    labels: {},
    tmpfs: { '/run': 1048576 },
    memoryBytes: 67108864,
    cpuMillis: 500,
  });
  assert.throws(
    () => runRequest('box:1', [], { memory: 'lots', pidsLimit: '-1', tmpfs: ['/x'] }),
    /--tmpfs: "\/x" is not PATH:SIZE; --memory: "lots" is no size; --pids-limit: "-1" is no whole number/,
  );
});
