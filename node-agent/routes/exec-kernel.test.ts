import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { after, before, test } from 'node:test';
import { until } from '../testing/agent-harness.ts';
import { ContainerAgent } from '../testing/container-agent.ts';
import { execIn, openExec, readExec } from '../testing/exec-client.ts';
import { kernelSkip } from '../testing/kernel-guests.ts';

/** Programs executed in containers over HTTP. */
const skip = kernelSkip();
const FOREVER = 'trap "exit 0" TERM; while :; do sleep 0.05; done';

let agent: ContainerAgent;
before(async () => {
  if (skip !== false) return;
  agent = await ContainerAgent.start(5);
  await agent.sh(FOREVER, { name: 'target', env: { OWN: 'yes' } });
});
after(() => agent?.end());

test('exec: output, errors and the end of a program, each by itself', { skip }, async () => {
  const script = 'echo "out $OWN $MORE $PWD $(id -u)"; echo err >&2; exit 7';
  const output = await execIn(agent, {
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
  const killed = await execIn(agent, { command: ['sh', '-c', 'kill -9 $$'] });
  assert.deepEqual(killed.exit, { signal: 9 });
});

test('exec: input and output go both ways at once', { skip }, async () => {
  const opened = await openExec(agent, { command: ['cat'], stdin: true });
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
  const opened = await openExec(agent, { command: ['wc', '-c'], stdin: true });
  Readable.from(Array.from({ length: 64 }, () => Buffer.alloc(65_536, 1))).pipe(opened.request);
  assert.equal((await readExec(opened)).stdout.trim(), String(64 * 65_536));
  const out = await execIn(agent, { command: ['head', '-c', '3000000', '/dev/zero'] });
  assert.equal(out.stdout.length, 3_000_000);
});

test('exec: a user that was added after the start is known', { skip }, async () => {
  const added = 'echo "late:x:4242:4242::/tmp:/bin/sh" >> /etc/passwd';
  assert.deepEqual((await execIn(agent, { command: ['sh', '-c', added] })).exit, { code: 0 });
  const { stdout } = await execIn(agent, {
    command: ['sh', '-c', 'echo $(id -u) $HOME'],
    user: 'late',
  });
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
  const opened = await openExec(agent, {
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
  const polite = await openExec(agent, {
    command: [
      'sh',
      '-c',
      'trap "echo hung > /tmp/hung; exit" HUP; echo up; while :; do sleep 0.05; done',
    ],
  });
  await once(polite.answer, 'data');
  polite.request.destroy();
  await until(
    async () => (await execIn(agent, { command: ['cat', '/tmp/hung'] })).stdout === 'hung\n',
  );
  const deaf = await openExec(agent, {
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
  const { stdout } = await execIn(agent, { command: ['sh', '-c', find.replace(/ \| tr.*/, '')] });
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
