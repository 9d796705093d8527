import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { Readable, Writable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { packTar, readTar } from '../../lib/archive/tar.ts';
import type {
  ExecExit,
  ExecRequest,
  NetworkInfo,
  PathStat,
  VolumeInfo,
} from '../../lib/container-api.ts';
import { until } from '../testing/agent-harness.ts';
import { ContainerAgent } from '../testing/container-agent.ts';
import { kernelSkip } from '../testing/kernel-guests.ts';

/** Reaching into containers over HTTP: exec, copies, volumes, networks. */
const skip = kernelSkip();
const FOREVER = 'trap "exit 0" TERM; while :; do sleep 0.05; done';

let agent: ContainerAgent;
before(async () => {
  if (skip !== false) return;
  agent = await ContainerAgent.start(1);
  await agent.sh(FOREVER, { name: 'target', env: { OWN: 'yes' } });
});
after(() => agent?.end());

interface Exec {
  id: string;
  request: ClientRequest;
  answer: IncomingMessage;
}

/** Opens an exec with a plain HTTP client; its body goes on after the answer has begun. */
async function openExec(asked: ExecRequest, container = 'target'): Promise<Exec> {
  const header = Buffer.from(JSON.stringify(asked)).toString('base64url');
  const request = httpRequest(`${agent.url}/v1/containers/${container}/exec`, {
    method: 'POST',
    agent: false,
    headers: {
      authorization: `Bearer ${agent.token}`,
      'hearth-exec': header,
      'transfer-encoding': 'chunked',
    },
  });
  request.on('error', () => {});
  request.flushHeaders();
  const [answer] = (await once(request, 'response')) as [IncomingMessage];
  return { id: String(answer.headers['hearth-exec-id']), request, answer };
}

interface Output {
  stdout: string;
  stderr: string;
  exit: ExecExit | undefined;
}

async function readExec({ answer }: Exec): Promise<Output> {
  const bytes = await buffer(answer);
  const output: Output = { stdout: '', stderr: '', exit: undefined };
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt32BE(at + 4);
    const payload = bytes.toString('utf8', at + 8, at + 8 + length);
    if (bytes[at] === 1) output.stdout += payload;
    else if (bytes[at] === 2) output.stderr += payload;
    else output.exit = JSON.parse(payload) as ExecExit;
    at += 8 + length;
  }
  return output;
}

async function exec(asked: ExecRequest, container?: string): Promise<Output> {
  const opened = await openExec(asked, container);
  opened.request.end();
  return await readExec(opened);
}

test('exec: output, errors and the end of a program, each by itself', { skip }, async () => {
  const script = 'echo "out $OWN $MORE $PWD $(id -u)"; echo err >&2; exit 7';
  const output = await exec({
    command: ['sh', '-c', script],
    env: { MORE: 'given' },
    workingDir: '/tmp',
    user: 'app',
  });
  assert.deepEqual(output, {
    stdout: 'out yes given /tmp 1000\n',
    stderr: 'err\n',
    exit: { code: 7 },
  });
  const killed = await exec({ command: ['sh', '-c', 'kill -9 $$'] });
  assert.deepEqual(killed.exit, { signal: 9 });
});

test('exec: input and output go both ways at once', { skip }, async () => {
  const opened = await openExec({ command: ['cat'], stdin: true });
  const chunks: Buffer[] = [];
  opened.answer.on('data', (chunk: Buffer) => chunks.push(chunk));
  for (const word of ['one\n', 'two\n']) {
    opened.request.write(word);
    await until(() => Buffer.concat(chunks).includes(word));
  }
  const ended = once(opened.answer, 'end');
  opened.request.end();
  await ended;
  assert.ok(Buffer.concat(chunks).includes('{"code":0}'));
});

test('exec: much input and much output, neither lost', { skip }, async () => {
  const opened = await openExec({ command: ['wc', '-c'], stdin: true });
  Readable.from(Array.from({ length: 64 }, () => Buffer.alloc(65_536, 1))).pipe(opened.request);
  assert.equal((await readExec(opened)).stdout.trim(), String(64 * 65_536));
  const out = await exec({ command: ['head', '-c', '3000000', '/dev/zero'] });
  assert.equal(out.stdout.length, 3_000_000);
});

test('exec: a user that was added after the start is known', { skip }, async () => {
  const added = 'echo "late:x:4242:4242::/tmp:/bin/sh" >> /etc/passwd';
  assert.deepEqual((await exec({ command: ['sh', '-c', added] })).exit, { code: 0 });
  const { stdout } = await exec({ command: ['sh', '-c', 'echo $(id -u) $HOME'], user: 'late' });
  assert.equal(stdout, '4242 /tmp\n');
  await assert.rejects(
    agent.client.raw('/v1/containers/target/exec', {
      method: 'POST',
      headers: { 'hearth-exec': encoded({ command: ['id'], user: 'nobody-here' }) },
    }),
    { code: 'BadRequest', message: /^user "nobody-here" names no user/ },
  );
});

test('exec: a terminal has a size, which can change', { skip }, async () => {
  const script = 'stty size; read line; stty size; test -t 0 && test -t 1 && echo tty';
  const opened = await openExec({
    command: ['sh', '-c', script],
    stdin: true,
    tty: { rows: 11, columns: 44 },
  });
  const output = readExec(opened);
  await agent.client.json(`/v1/execs/${opened.id}/resize`, {
    method: 'POST',
    body: { rows: 22, columns: 66 },
  });
  opened.request.write('go\n');
  const { stdout, exit } = await output;
  opened.request.end();
  assert.match(stdout, /22 66/);
  assert.match(stdout, /tty/);
  assert.deepEqual(exit, { code: 0 });
  await assert.rejects(
    agent.client.json(`/v1/execs/${opened.id}/resize`, {
      method: 'POST',
      body: { rows: 1, columns: 1 },
    }),
    { code: 'NotFound' },
  );
});

test('exec: a caller that goes away takes its program along', { skip }, async () => {
  const polite = await openExec({
    command: [
      'sh',
      '-c',
      'trap "echo hung > /tmp/hung; exit" HUP; echo up; while :; do sleep 0.05; done',
    ],
  });
  await once(polite.answer, 'data');
  polite.request.destroy();
  await until(async () => (await exec({ command: ['cat', '/tmp/hung'] })).stdout === 'hung\n');
  const deaf = await openExec({
    command: ['sh', '-c', 'trap "" HUP; echo $$; exec sleep 987'],
    stdin: true,
  });
  await once(deaf.answer, 'data');
  assert.ok(await isRunning('987'));
  deaf.request.destroy();
  await until(async () => !(await isRunning('987')));
});

async function isRunning(word: string): Promise<boolean> {
  const find = `cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | head -c 4000`;
  const { stdout } = await exec({ command: ['sh', '-c', find.replace(/ \| tr.*/, '')] });
  return stdout.split('\0').includes(word);
}

function encoded(asked: unknown): string {
  return Buffer.from(JSON.stringify(asked)).toString('base64url');
}

test('exec: what cannot be executed is an error like any other', { skip }, async () => {
  const ask = (headers: Record<string, string>, id = 'target') =>
    agent.client.raw(`/v1/containers/${id}/exec`, { method: 'POST', headers });
  await assert.rejects(ask({}), { code: 'BadRequest', message: /header hearth-exec must be/ });
  await assert.rejects(ask({ 'hearth-exec': '###' }), { code: 'BadRequest' });
  await assert.rejects(ask({ 'hearth-exec': encoded({ command: ['x'], comand: 1 }) }), {
    message: /unknown key `comand` \(did you mean `command`\?\)/,
  });
  await assert.rejects(ask({ 'hearth-exec': encoded({ command: [] }) }), {
    message: /command must name a program/,
  });
  await assert.rejects(
    ask({ 'hearth-exec': encoded({ command: ['id'], tty: { rows: 0, columns: 1 } }) }),
    { message: /rows must be an integer from 1 to 65535/ },
  );
  await assert.rejects(ask({ 'hearth-exec': encoded({ command: ['/no/such'] }) }), {
    code: 'EntrypointNotFound',
  });
  const ended = await agent.sh('true');
  await agent.get(ended.id, '/wait');
  await assert.rejects(ask({ 'hearth-exec': encoded({ command: ['id'] }) }, ended.id), {
    code: 'Conflict',
    message: /^cannot execute a program in container ".*it is not running$/,
  });
  await agent.remove(ended.id);
});

test('archive: in, out, and what stands at a path', { skip }, async () => {
  const text = Buffer.from('copied words');
  const facts = { uid: 0, gid: 0, mtimeMs: 1_700_000_000_000 };
  const tar = packTar([
    { ...facts, name: 'in', type: 'directory', mode: 0o755, sizeBytes: 0 },
    { ...facts, name: 'in/words', type: 'file', mode: 0o640, sizeBytes: text.length, body: text },
  ]);
  const path = '/v1/containers/target/archive';
  await agent.client.json(path, { method: 'PUT', query: { path: '/tmp' }, body: tar });
  assert.equal((await exec({ command: ['cat', '/tmp/in/words'] })).stdout, 'copied words');
  const head = await agent.client.raw(path, { method: 'HEAD', query: { path: '/tmp/in/words' } });
  await head.body.dump();
  const stat = statOf(head.headers['hearth-path-stat']);
  assert.equal(stat.name, 'words');
  assert.equal(stat.sizeBytes, text.length);
  const answer = await agent.client.raw(path, { query: { path: '/tmp/in' } });
  assert.equal(answer.headers['content-type'], 'application/x-tar');
  const names: string[] = [];
  for await (const { name } of readTar(answer.body)) names.push(name);
  assert.deepEqual(names.map((name) => name.replace(/\/$/, '')).sort(), ['in', 'in/words']);
  await assert.rejects(agent.client.raw(path, { query: { path: '/no/such' } }), {
    code: 'NotFound',
  });
  await assert.rejects(agent.client.raw(path, { query: { path: 'relative' } }), {
    code: 'BadRequest',
  });
  const missing = await fetch(`${agent.url}${path}?path=/no/such`, {
    method: 'HEAD',
    headers: { authorization: `Bearer ${agent.token}` },
  });
  assert.equal(missing.status, 404);
});

function statOf(header: string | string[] | undefined): PathStat {
  return JSON.parse(Buffer.from(String(header), 'base64url').toString()) as PathStat;
}

test('archive: bodies are larger than those of JSON, and are answered though not read', {
  skip,
}, async () => {
  const body = Buffer.alloc(5 * 1024 ** 2, 7);
  const facts = { mode: 0o600, uid: 0, gid: 0, mtimeMs: 0, sizeBytes: body.length };
  const tar = await buffer(packTar([{ ...facts, name: 'large', type: 'file', body }]));
  const put = async (path: string): Promise<number> => {
    const answer = await fetch(`${agent.url}/v1/containers/target/archive?path=${path}`, {
      method: 'PUT',
      body: tar,
      headers: { authorization: `Bearer ${agent.token}`, 'content-type': 'application/x-tar' },
    });
    await answer.arrayBuffer();
    return answer.status;
  };
  assert.equal(await put('/tmp'), 204);
  assert.equal(
    (await exec({ command: ['wc', '-c', '/tmp/large'] })).stdout,
    `${body.length} /tmp/large\n`,
  );
  assert.equal(await put('/no/such'), 404);
  assert.equal(await put('/bin/sh'), 400);
});

test('volumes outlive containers and are not removed under them', { skip }, async () => {
  const body = { name: 'data', labels: { tier: 'db' } };
  const made = await agent.client.json<VolumeInfo>('/v1/volumes', { method: 'POST', body });
  assert.equal(made.name, 'data');
  const script = `echo kept > /data/file; echo up; ${FOREVER}`;
  const first = await agent.sh(script, { volumes: ['data:/data'] });
  await until(async () => (await agent.texts(first.id)).includes('up'));
  assert.deepEqual(first.mounts, [
    { kind: 'volume', source: 'data', target: '/data', readOnly: false },
  ]);
  const used = await agent.client.json<VolumeInfo>('/v1/volumes/data');
  assert.deepEqual(used.usedBy, [first.id]);
  const remove = (): Promise<void> => agent.client.json('/v1/volumes/data', { method: 'DELETE' });
  await assert.rejects(remove(), { code: 'Conflict' });
  await agent.remove(first.id, true);
  const second = await agent.sh('cat /data/file; echo no > /data/file', {
    volumes: ['data:/data:ro'],
  });
  await agent.get(second.id, '/wait');
  const texts = await agent.texts(second.id);
  assert.equal(texts[0], 'kept');
  assert.match(texts[1] ?? '', /Read-only file system/);
  await agent.remove(second.id);
  await remove();
  await assert.rejects(remove(), { code: 'NotFound' });
  // As under Docker, a name that is used first makes its volume
  const third = await agent.sh('true', { volumes: ['data:/data'] });
  await agent.remove(third.id, true);
  await remove();
});

test('containers of a network know each other by name; published ports lead in', {
  skip,
}, async () => {
  const body = { name: 'inner' };
  const network = await agent.client.json<NetworkInfo>('/v1/networks', { method: 'POST', body });
  assert.match(network.subnet, /^10\.96\./);
  const answering = 'while :; do echo hello | nc -l -p 8000; done';
  const server = await agent.sh(answering, {
    name: 'server',
    network: 'inner',
    ports: ['127.0.0.1::8000'],
  });
  const port = server.ports[0];
  assert.equal(port?.containerPort, 8000);
  assert.ok((port?.hostPort ?? 0) > 0);
  const asks = 'until nc server 8000 < /dev/null; do sleep 0.05; done';
  const client = await agent.sh(asks, { network: 'inner' });
  await agent.get(client.id, '/wait');
  assert.ok((await agent.texts(client.id)).includes('hello'));
  const shown = await agent.client.json<NetworkInfo>('/v1/networks/inner');
  assert.deepEqual(
    shown.containers.map(({ id }) => id),
    [server.id],
  );
  const remove = (): Promise<void> => agent.client.json('/v1/networks/inner', { method: 'DELETE' });
  await assert.rejects(remove(), { code: 'Conflict' });
  for (const { id } of [server, client]) await agent.remove(id, true);
  await remove();
  await assert.rejects(agent.sh('true', { network: 'inner' }), { code: 'NotFound' });
});

test('bad volumes and networks are named', { skip }, async () => {
  const post = (path: string, body: object): Promise<unknown> =>
    agent.client.json(path, { method: 'POST', body });
  await assert.rejects(post('/v1/volumes', { name: '../x' }), { code: 'NameInvalid' });
  await assert.rejects(post('/v1/volumes', { nme: 'x' }), { message: /did you mean `name`/ });
  await assert.rejects(post('/v1/networks', { name: 'bridge' }), { status: 400 });
  await assert.rejects(post('/v1/networks', { name: 'x', subnet: '8.8.8.0/24' }), { status: 400 });
  for (const path of ['/v1/volumes/..%2fx', '/v1/networks/%00', '/v1/volumes/__proto__']) {
    await assert.rejects(agent.client.json(path), { code: 'NotFound' });
  }
});

test('what this node does not have or allow is named', { skip }, async () => {
  const refused: [object, string, RegExp][] = [
    [{ ociRuntime: 'nope' }, 'ConfigInvalid', /runtime "nope" is not configured on this node/],
    [{ volumes: ['/etc:/x'] }, 'ConfigInvalid', /bind path "\/etc" is not allowed on this node/],
    [{ network: 'nope' }, 'NotFound', /network "nope" does not exist/],
    [{ egress: ['169.254.169.254/32'] }, 'StartFailed', /cloud metadata that no container may/],
    [{ volumes: ['v:/proc/x'] }, 'BadRequest', /has a target in \/proc/],
  ];
  for (const [more, code, message] of refused) {
    await assert.rejects(agent.sh('true', more), { code, message });
  }
  const server = createServer().listen(0, '0.0.0.0');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await assert.rejects(agent.sh('true', { ports: [`${port}:80`] }), { code: 'Conflict' });
  server.close();
  const { containers } = await agent.client.json<{ containers: object[] }>('/v1/containers');
  assert.equal(containers.length, 1);
});

test('what is written goes to a layer that is not counted as memory', { skip }, async () => {
  const mib = 1024 ** 2;
  const { id } = await agent.sh('dd if=/dev/zero of=/big bs=1M count=64 && echo fits', {
    memoryBytes: 32 * mib,
    diskBytes: 128 * mib,
  });
  const ended = await agent.get(id, '/wait');
  assert.equal(ended.exitCode, 0, (await agent.texts(id)).join());
  await agent.remove(id);
});

test('metrics count containers, programs executed and events', { skip }, async () => {
  const opened = await openExec({ command: ['cat'], stdin: true });
  const page = await (await fetch(`${agent.url}/metrics`)).text();
  assert.match(page, /^hearth_agent_containers\{state="running"\} 1$/m);
  assert.match(page, /^hearth_agent_execs 1$/m);
  assert.match(page, /^hearth_agent_events_total\{action="exec"\} \d+$/m);
  opened.request.end();
  await buffer(opened.answer);
});

test('the agent ends though callers are connected', { skip }, async () => {
  const opened = await openExec({ command: ['cat'], stdin: true });
  const sink = new Writable({ write: (_chunk, _encoding, done) => done() });
  opened.answer.on('error', () => {}).pipe(sink);
  const closed = once(opened.answer, 'close');
  await agent.close();
  await closed;
  assert.equal(readFileSync('/proc/self/mountinfo', 'utf8').includes(agent.root), false);
});
