import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { Writable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { packTar, readTar } from '../../lib/archive/tar.ts';
import type { NetworkInfo, PathStat, VolumeInfo } from '../../lib/container-api.ts';
import { until } from '../testing/agent-harness.ts';
import { ContainerAgent } from '../testing/container-agent.ts';
import { execIn, openExec } from '../testing/exec-client.ts';
import { kernelSkip } from '../testing/kernel-guests.ts';

/** Reaching into containers over HTTP: copies, volumes, networks. */
const skip = kernelSkip();
const FOREVER = 'trap "exit 0" TERM; while :; do sleep 0.05; done';

let agent: ContainerAgent;
before(async () => {
  if (skip !== false) return;
  agent = await ContainerAgent.start(1);
  await agent.sh(FOREVER, { name: 'target' });
});
after(() => agent?.end());

test('archive: in, out, and what stands at a path', { skip }, async () => {
  const text = Buffer.from('copied words');
  const facts = { uid: 0, gid: 0, mtimeMs: 1_700_000_000_000 };
  const tar = packTar([
    { ...facts, name: 'in', type: 'directory', mode: 0o755, sizeBytes: 0 },
    { ...facts, name: 'in/words', type: 'file', mode: 0o640, sizeBytes: text.length, body: text },
  ]);
  const path = '/v1/containers/target/archive';
  await agent.client.json(path, { method: 'PUT', query: { path: '/tmp' }, body: tar });
  assert.equal((await execIn(agent, { command: ['cat', '/tmp/in/words'] })).stdout, 'copied words');
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
    (await execIn(agent, { command: ['wc', '-c', '/tmp/large'] })).stdout,
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
  const opened = await openExec(agent, { command: ['cat'], stdin: true });
  const page = await (await fetch(`${agent.url}/metrics`)).text();
  assert.match(page, /^hearth_agent_containers\{state="running"\} 1$/m);
  assert.match(page, /^hearth_agent_execs 1$/m);
  assert.match(page, /^hearth_agent_events_total\{action="exec"\} \d+$/m);
  opened.request.end();
  await buffer(opened.answer);
});

test('the agent ends though callers are connected', { skip }, async () => {
  const opened = await openExec(agent, { command: ['cat'], stdin: true });
  const sink = new Writable({ write: (_chunk, _encoding, done) => done() });
  opened.answer.on('error', () => {}).pipe(sink);
  const closed = once(opened.answer, 'close');
  await agent.close();
  await closed;
  assert.equal(readFileSync('/proc/self/mountinfo', 'utf8').includes(agent.root), false);
});
