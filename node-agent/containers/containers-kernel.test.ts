import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { ContainerInfo, ContainerStats, EventInfo } from '../../lib/container-api.ts';
import { MIB } from '../../lib/limits.ts';
import { until } from '../testing/agent-harness.ts';
import { ContainerAgent } from '../testing/container-agent.ts';
import { kernelSkip } from '../testing/kernel-guests.ts';

/** Containers over HTTP with the kernel, a registry and a store that are real. */
const skip = kernelSkip();

let agent: ContainerAgent;
before(async () => {
  if (skip === false) agent = await ContainerAgent.start(0);
});
after(() => agent?.end());

const FOREVER = 'trap "echo bye; exit 3" TERM; echo up; while :; do sleep 0.05; done';

test('a container runs its image’s program, and what it wrote outlives it', { skip }, async () => {
  const started = await agent.run({ image: 'busybox:1', name: 'first' });
  assert.match(started.id, /^c-[0-9a-z]{12}$/);
  assert.equal(started.name, 'first');
  assert.equal(started.node, 'c0');
  assert.equal(started.image, 'busybox:1');
  assert.match(started.imageDigest, /^sha256:/);
  assert.deepEqual(started.command, ['sh', '-c', 'echo from the image']);
  const ended = await agent.get('first', '/wait');
  assert.equal(ended.state, 'exited');
  assert.equal(ended.exitCode, 0);
  assert.ok((ended.endedAtMs ?? 0) >= ended.startedAtMs);
  assert.deepEqual(await agent.texts('first'), ['from the image']);
  await agent.remove(started.id);
  await assert.rejects(agent.get(started.id), { code: 'NotFound' });
  await assert.rejects(agent.logs(started.id), { code: 'NotFound' });
});

test('program, environment, user and folder are the image’s unless they are given', {
  skip,
}, async () => {
  await agent.registry.addBusybox('apps/tool:2', {
    Entrypoint: ['sh', '-c'],
    Cmd: ['echo default'],
    Env: ['FROM_IMAGE=1', 'BOTH=image'],
    User: 'app',
    WorkingDir: '/home/app',
  });
  const show = 'echo "$FROM_IMAGE $BOTH $GIVEN $HOME $(id -u):$(id -g) $PWD $(hostname)"';
  const plain = await agent.run({ image: 'apps/tool:2', command: [show], name: 'tool' });
  await agent.get(plain.id, '/wait');
  assert.deepEqual(await agent.texts(plain.id), ['1 image  /home/app 1000:1000 /home/app tool']);
  const given = await agent.run({
    image: 'apps/tool:2',
    entrypoint: ['sh'],
    command: ['-c', show],
    env: { BOTH: 'given', GIVEN: 'é' },
    user: '0:staff',
    workingDir: '/tmp',
    hostname: 'host.example',
  });
  await agent.get(given.id, '/wait');
  assert.deepEqual(await agent.texts(given.id), ['1 given é /root 0:50 /tmp host.example']);
  // Without an entrypoint of the image's its Cmd means nothing either
  const bare = { image: 'apps/tool:2', entrypoint: ['echo'] };
  const echo = await agent.run(bare);
  assert.deepEqual(echo.command, ['echo']);
  for (const { id } of [plain, given, echo]) await agent.remove(id, true);
});

test('by digest, by reference with a digest, and by tag it is the same image', {
  skip,
}, async () => {
  const { imageDigest: digest, id } = await agent.sh('true');
  const byRef = await agent.run({ image: { repository: 'busybox', digest } });
  const byText = await agent.run({ image: `busybox@${digest}` });
  assert.equal(byRef.imageDigest, digest);
  assert.equal(byText.imageDigest, digest);
  for (const one of [id, byRef.id, byText.id]) await agent.remove(one, true);
});

test('a stop is SIGTERM with its time; what stays gets SIGKILL', { skip }, async () => {
  const polite = await agent.sh(FOREVER);
  await until(async () => (await agent.texts(polite.id)).includes('up'));
  const stopped = await agent.post(polite.id, 'stop');
  assert.equal(stopped.state, 'exited');
  assert.equal(stopped.exitCode, 3);
  assert.deepEqual(await agent.texts(polite.id), ['up', 'bye']);
  assert.equal((await agent.post(polite.id, 'stop')).exitCode, 3);

  const deaf = await agent.sh('trap "" TERM; echo up; while :; do sleep 0.05; done');
  await until(async () => (await agent.texts(deaf.id)).includes('up'));
  const killed = await agent.post(deaf.id, 'stop', { graceMs: 100 });
  assert.equal(killed.signal, 9);
  assert.match((await agent.texts(deaf.id)).join(), /KilledAfterGrace: still there 0\.1 s/);
  for (const { id } of [polite, deaf]) await agent.remove(id);
});

test('the image’s own stop signal is the one that is sent', { skip }, async () => {
  const config = { Cmd: ['sh', '-c', 'trap "exit 7" QUIT; echo up; while :; do sleep 0.05; done'] };
  await agent.registry.addBusybox('quits:1', { ...config, StopSignal: 'SIGQUIT' });
  const { id } = await agent.run({ image: 'quits:1' });
  await until(async () => (await agent.texts(id)).includes('up'));
  assert.equal((await agent.post(id, 'stop')).exitCode, 7);
  await agent.remove(id);
});

test('signals reach the program; a container that has ended takes none', { skip }, async () => {
  const { id } = await agent.sh(
    'trap "echo hup" HUP; trap "exit 4" USR1; echo up; while :; do sleep 0.05; done',
  );
  await until(async () => (await agent.texts(id)).includes('up'));
  await agent.post(id, 'kill', { signal: 'HUP' });
  await until(async () => (await agent.texts(id)).includes('hup'));
  await agent.post(id, 'kill', { signal: 10 });
  assert.equal((await agent.get(id, '/wait')).exitCode, 4);
  await assert.rejects(agent.post(id, 'kill'), { code: 'Conflict', message: /is not running$/ });
  await assert.rejects(agent.post(id, 'kill', { signal: 'SIGNOPE' }), { code: 'BadRequest' });
  await agent.remove(id);
});

test('pause holds it, unpause lets it go on, a stop of what is held ends it', {
  skip,
}, async () => {
  const { id } = await agent.sh(FOREVER);
  assert.equal((await agent.post(id, 'pause')).state, 'paused');
  await assert.rejects(agent.post(id, 'pause'), { code: 'Conflict' });
  assert.equal((await agent.get(id)).state, 'paused');
  assert.equal((await agent.post(id, 'unpause')).state, 'running');
  await agent.post(id, 'pause');
  assert.equal((await agent.post(id, 'stop')).state, 'exited');
  await assert.rejects(agent.post(id, 'pause'), { code: 'Conflict', message: /is not running$/ });
  await agent.remove(id);
});

test('only by force is one removed that runs; autoRemove needs nobody', { skip }, async () => {
  const { id } = await agent.sh(FOREVER, { name: 'stays' });
  await assert.rejects(agent.remove('stays'), {
    code: 'Conflict',
    message: 'cannot remove container "stays": container is running',
  });
  await agent.remove('stays', true);
  const short = await agent.sh('exit 5', { autoRemove: true });
  const folders = join(agent.config.dataRoot, 'agent', 'c0');
  for (const name of ['containers', 'container-logs']) {
    await until(() => readdirSync(join(folders, name)).length === 0);
  }
  for (const one of [id, short.id]) await assert.rejects(agent.get(one), { code: 'NotFound' });
});

test('the list is newest first; names and starts of ids find their container', {
  skip,
}, async () => {
  const one = await agent.sh(FOREVER, { name: 'one', labels: { tier: 'db' } });
  const two = await agent.sh('true');
  await agent.get(two.id, '/wait');
  const { containers } = await agent.client.json<{ containers: ContainerInfo[] }>('/v1/containers');
  assert.deepEqual(
    containers.map(({ id, state }) => [id, state]),
    [
      [two.id, 'exited'],
      [one.id, 'running'],
    ],
  );
  assert.deepEqual(containers[1]?.labels, { tier: 'db' });
  assert.match(two.name, /^[a-z]+-[a-z]+$/);
  assert.equal((await agent.get(one.id.slice(0, 10))).name, 'one');
  await assert.rejects(agent.get('c-'), { code: 'Conflict', message: /2 containers have ids/ });
  await assert.rejects(agent.sh('true', { name: 'one' }), {
    code: 'Conflict',
    message: 'the container name "one" is in use already',
  });
  for (const { id } of [one, two]) await agent.remove(id, true);
});

test('a record on the disk is only the agent’s to read and holds no variables', {
  skip,
}, async () => {
  const { id } = await agent.sh(FOREVER, { env: { TOKEN: 'sesame-5f2' } });
  const file = join(agent.config.dataRoot, 'agent', 'c0', 'containers', `${id}.json`);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.ok(!readFileSync(file, 'utf8').includes('sesame-5f2'));
  await agent.remove(id, true);
});

test('a start that fails leaves nothing and says why', { skip }, async () => {
  const missing = { image: 'busybox:1', command: ['/no/such'], name: 'again' };
  await assert.rejects(agent.run(missing), { code: 'EntrypointNotFound' });
  await assert.rejects(agent.run({ image: 'busybox:9', name: 'again' }), {
    code: 'NotFound',
    message: /^no image "busybox:9": .*tag not found; available: 1/,
  });
  await assert.rejects(agent.sh('true', { name: 'again', user: 'nobody-here' }), {
    code: 'BadRequest',
    message: 'user "nobody-here" names no user of the image’s /etc/passwd',
  });
  await assert.rejects(agent.sh('true', { memoryBytes: 900 * MIB }), {
    code: 'NodeFull',
    message: 'node "c0" has 819 MiB left for containers, asked are 900 MiB',
  });
  assert.deepEqual(await agent.client.json('/v1/containers'), { containers: [] });
  const { id } = await agent.sh('true', { name: 'again' });
  await agent.remove(id, true);
});

test('memory that containers have is not given to others', { skip }, async () => {
  const { id } = await agent.sh(FOREVER, { memoryBytes: 500 * MIB });
  await assert.rejects(agent.sh('true', { memoryBytes: 400 * MIB }), { code: 'NodeFull' });
  await agent.remove(id, true);
  const next = await agent.sh('true', { memoryBytes: 400 * MIB });
  await agent.remove(next.id, true);
});

test('out of memory is told apart from other deaths', { skip }, async () => {
  const { id } = await agent.sh('tail /dev/zero', { memoryBytes: 16 * MIB });
  const ended = await agent.get(id, '/wait');
  assert.equal(ended.oomKilled, true);
  assert.match((await agent.texts(id)).join(), /ran out of memory \(limit 16 MiB/);
  await agent.remove(id);
});

test('logs: tail, since, follow until the end', { skip }, async () => {
  const { id } = await agent.sh('for i in 1 2 3 4 5; do echo $i; sleep 0.02; done; echo e >&2');
  const followed = await agent.logs(id, { follow: 1, tail: 'all' });
  assert.deepEqual(
    followed.map(({ text, stream }) => `${stream} ${text}`),
    ['stdout 1', 'stdout 2', 'stdout 3', 'stdout 4', 'stdout 5', 'stderr e'],
  );
  assert.ok(
    followed.every(({ instanceId, functionName }) => instanceId === id && functionName === ''),
  );
  assert.deepEqual(
    (await agent.logs(id, { tail: 2 })).map(({ text }) => text),
    ['5', 'e'],
  );
  const sinceMs = followed[3]?.timeMs ?? 0;
  assert.ok((await agent.logs(id, { sinceMs })).every(({ timeMs }) => timeMs >= sinceMs));
  assert.deepEqual(await agent.logs(id, { sinceMs: Date.now() + 60_000 }), []);
  await assert.rejects(agent.logs(id, { tail: -1 }), { code: 'BadRequest' });
  await assert.rejects(agent.logs(id, { folow: 1 }), { message: /did you mean `\?follow`/ });
  await agent.remove(id);
});

test('stats are one reading, or one a second until the end', { skip }, async () => {
  const { id } = await agent.sh(FOREVER, { memoryBytes: 64 * MIB });
  const once = await agent.get<ContainerStats>(id, '/stats');
  assert.equal(once.memory.limitBytes, 64 * MIB);
  assert.ok(once.pids.current >= 1);
  const readings: ContainerStats[] = [];
  const query = { stream: 1 };
  const path = `/v1/containers/${id}/stats`;
  for await (const reading of agent.client.lines<ContainerStats>(path, { query })) {
    readings.push(reading);
    if (readings.length === 2) await agent.remove(id, true);
  }
  assert.ok(readings.length >= 2);
  assert.ok((readings[1]?.cpu.usageNs ?? 0) >= (readings[0]?.cpu.usageNs ?? 0));
  await assert.rejects(agent.get(id, '/stats'), { code: 'NotFound' });
});

test('events tell the life of a container in order', { skip }, async () => {
  const over = new AbortController();
  const seen: EventInfo[] = [];
  const query = { follow: 1, id: 'told' };
  const options = { query, signal: over.signal };
  const following = (async () => {
    for await (const event of agent.client.lines<EventInfo>('/v1/events', options)) {
      seen.push(event);
      if (event.action === 'destroy') over.abort();
    }
  })();
  const { id } = await agent.sh('exit 3', { name: 'told', labels: { a: 'b' } });
  await assert.rejects(following);
  assert.deepEqual(
    seen.map(({ action }) => action),
    ['create', 'start', 'die', 'destroy'],
  );
  assert.ok(seen.every((event) => event.id === id && event.node === 'c0'));
  assert.equal(seen[2]?.attributes.exitCode, 3);
  assert.equal(seen[0]?.labels.a, 'b');
  const past: EventInfo[] = [];
  const asked = { query: { action: 'die,oom', since: seen[0]?.seq ?? 0 } };
  for await (const event of agent.client.lines<EventInfo>('/v1/events', asked)) past.push(event);
  assert.deepEqual(
    past.map(({ action }) => action),
    ['die'],
  );
  await agent.remove(id);
});

test('whatever stands in a path, the answer is a 4xx', { skip }, async () => {
  for (const id of [
    '..%2fx',
    '%2e%2e%2fx',
    'a%2fb',
    '%00',
    'x'.repeat(10_000),
    '__proto__',
    '%20',
  ]) {
    for (const action of ['', '/logs', '/wait']) {
      const answer = await fetch(`${agent.url}/v1/containers/${id}${action}`, {
        headers: { authorization: `Bearer ${agent.token}` },
      });
      assert.ok(answer.status >= 400 && answer.status < 500, `${id}${action}: ${answer.status}`);
      const { error } = (await answer.json()) as { error: { message: string } };
      assert.ok(error.message.length < 300, error.message);
    }
  }
  const bare = await fetch(`${agent.url}/v1/containers`);
  assert.equal(bare.status, 401);
});

test('a new process of the agent has them all: those that run, those that ended', {
  skip,
}, async () => {
  const done = await agent.sh('echo done; exit 6', { name: 'done' });
  await agent.get(done.id, '/wait');
  const live = await agent.sh(FOREVER, { name: 'live' });
  await until(async () => (await agent.texts('live')).includes('up'));
  await agent.close();
  await agent.open();
  const { containers } = await agent.client.json<{ containers: ContainerInfo[] }>('/v1/containers');
  assert.deepEqual(
    containers.map(({ name, state }) => `${name} ${state}`),
    ['live exited', 'done exited'],
  );
  assert.equal((await agent.get('done')).exitCode, 6);
  assert.equal((await agent.get('live')).exitCode, 3);
  assert.deepEqual(await agent.texts('done'), ['done']);
  assert.ok((await agent.texts(live.id)).includes('bye'));
  for (const name of ['done', 'live']) await agent.remove(name);
});

test('after all of it nothing is left', { skip }, async () => {
  const folders = join(agent.config.dataRoot, 'agent', 'c0');
  await until(() => readdirSync(join(folders, 'engine/containers')).length === 0);
  for (const name of ['containers', 'container-logs']) {
    assert.deepEqual(readdirSync(join(folders, name)), []);
  }
  assert.equal(readFileSync('/proc/self/mountinfo', 'utf8').includes(agent.root), false);
});
