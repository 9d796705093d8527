import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { ContainerInfo, ContainerStats } from '../../lib/container-api.ts';
import { MIB } from '../../lib/limits.ts';
import type { InstanceRecord } from '../../lib/records.ts';
import type { InstanceStatus } from '../api/types.ts';
import { startRequest, until } from '../testing/agent-harness.ts';
import { ContainerAgent } from '../testing/container-agent.ts';
import { kernelSkip } from '../testing/kernel-guests.ts';

/** Instances of functions seen as the containers that they are. */
const skip = kernelSkip();

let agent: ContainerAgent;
before(async () => {
  if (skip === false) agent = await ContainerAgent.start(2);
});
after(() => agent?.end());

async function startInstance(): Promise<InstanceRecord> {
  const script = 'echo serving; exec busybox httpd -f -h /tmp -p $PORT';
  const digest = await agent.registry.addBusybox('functions/web:1', {
    Cmd: ['busybox', 'sh', '-c', script],
  });
  const image = { repository: 'functions/web', digest };
  const body = startRequest('', {
    functionName: 'web',
    image,
    contract: 'port',
    memoryBytes: 64 * MIB,
  });
  return agent.client.json<InstanceRecord>('/v1/instances', { method: 'POST', body });
}

test('the list shows both, and an instance is reached like any container', { skip }, async () => {
  const record = await startInstance();
  const plain = await agent.sh('echo by hand; sleep 60', { name: 'plain' });
  const { containers } = await agent.client.json<{ containers: ContainerInfo[] }>('/v1/containers');
  assert.deepEqual(
    containers.map(({ id }) => id),
    [plain.id, record.id],
  );
  const instance = await agent.get(record.id);
  assert.equal(instance.functionName, 'web');
  assert.equal(instance.revisionId, record.revisionId);
  assert.match(instance.image, /^functions\/web@sha256:/);
  assert.deepEqual(instance.labels, {
    'hearth.function': 'web',
    'hearth.revision': record.revisionId,
  });
  assert.equal(instance.memoryBytes, 64 * MIB);
  assert.ok((await agent.get<ContainerStats>(record.id, '/stats')).memory.currentBytes > 0);
  assert.deepEqual(await agent.texts(record.id), ['serving']);
  assert.deepEqual(await agent.texts('plain'), ['by hand']);
  const header = Buffer.from(JSON.stringify({ command: ['echo', 'in'] })).toString('base64url');
  const answer = await agent.client.raw(`/v1/containers/${record.id}/exec`, {
    method: 'POST',
    headers: { 'hearth-exec': header },
  });
  assert.match(await answer.body.text(), /in\n.*\{"code":0\}$/s);
  const stat = await agent.client.raw(`/v1/containers/${record.id}/archive`, {
    method: 'HEAD',
    query: { path: '/bin' },
  });
  assert.ok(stat.headers['hearth-path-stat']);
  await stat.body.dump();
  for (const action of ['pause', 'unpause', 'stop', 'kill']) {
    await assert.rejects(agent.post(record.id, action), {
      code: 'Conflict',
      message: `cannot ${action} container "${record.id}": it is an instance of the function "web"`,
      hint: /hearth remove web/,
    });
  }
  await assert.rejects(agent.remove(record.id, true), { code: 'Conflict' });
  const waiting = agent.get(record.id, '/wait');
  await agent.client.json(`/v1/instances/${record.id}`, { method: 'DELETE' });
  assert.equal((await waiting).state, 'exited');
  // Its lines in its function's log are found by its id after its end, too
  assert.ok((await agent.texts(record.id)).some((text) => text.startsWith('stopped: ')));
  await agent.remove('plain', true);
});

test('what limits an instance met stands in its status, also of a later one', {
  skip,
}, async () => {
  const first = await startInstance();
  const header = Buffer.from(JSON.stringify({ command: ['tail', '/dev/zero'] })).toString(
    'base64url',
  );
  const answer = await agent.client.raw(`/v1/containers/${first.id}/exec`, {
    method: 'POST',
    headers: { 'hearth-exec': header },
  });
  await answer.body.dump();
  const second = await startInstance();
  await until(async () => {
    const status = await agent.client.json<InstanceStatus>(`/v1/instances/${second.id}`);
    return status.events?.some(({ action, id }) => action === 'oom' && id === first.id) === true;
  });
});
