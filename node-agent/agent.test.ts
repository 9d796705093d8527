import assert from 'node:assert/strict';
import { existsSync, renameSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { HearthError } from '../lib/errors.ts';
import { HttpClient } from '../lib/http/client.ts';
import { MIB } from '../lib/limits.ts';
import type { LogLine } from '../lib/log-line.ts';
import type { InstanceRecord } from '../lib/records.ts';
import { hasRedis } from '../lib/testing/redis.ts';
import type { InstanceStatus, StartInstanceRequest } from './api/types.ts';
import {
  servingScript,
  startRequest,
  startTestAgent,
  type TestAgent,
  until,
} from './testing/agent-harness.ts';

const skip = hasRedis() ? false : 'needs redis-server';

let agent: TestAgent;
before(async () => {
  if (skip === false) agent = await startTestAgent();
});
after(async () => {
  await agent?.end();
});

function start(body: StartInstanceRequest): Promise<InstanceRecord> {
  return agent.client.json<InstanceRecord>('/v1/instances', { method: 'POST', body });
}

function call(record: InstanceRecord): Promise<string> {
  assert.ok(record.endpoint.kind === 'unix');
  const { path: socketPath } = record.endpoint;
  return new Promise((resolve, reject) => {
    httpRequest({ socketPath, path: '/' }, (answer) => resolve(text(answer)))
      .on('error', reject)
      .end();
  });
}

async function logTexts(functionName: string): Promise<string[]> {
  const texts: string[] = [];
  const query = { function: functionName };
  for await (const line of agent.client.lines<LogLine>('/v1/logs', { query })) {
    texts.push(line.text);
  }
  return texts;
}

async function isGone(id: string): Promise<boolean> {
  return (
    (await agent.store.get('instance', id)) === undefined && agent.engine.get(id) === undefined
  );
}

async function putGateway(name: string, ageMs = 0): Promise<void> {
  const heartbeatAtMs = Date.now() - ageMs;
  await agent.store.put('gateway', name, { name, address: '', version: '', heartbeatAtMs });
}

test('a start answers with the record of an instance that serves', { skip }, async () => {
  const record = await start(startRequest(servingScript('console.log("to the log")')));
  assert.equal(record.state, 'ready');
  assert.equal(record.node, 'n1');
  assert.equal(record.phases.importMs, 1.5);
  assert.ok(record.phases.totalMs >= (record.phases.readyMs ?? Number.NaN));
  assert.equal(await call(record), `hello from ${record.id}`);
  await until(async () => (await agent.store.get('instance', record.id)) !== undefined);
  await until(async () => (await logTexts('hello')).includes('to the log'));
  await agent.client.json(`/v1/instances/${record.id}`, { method: 'DELETE' });
  await until(() => isGone(record.id));
});

test('a guest that ends, and what it wrote', { skip }, async () => {
  const script = 'console.error("no database"); process.exit(3)';
  await assert.rejects(start(startRequest(script)), (error) => {
    assert.ok(error instanceof HearthError);
    assert.equal(error.code, 'StartFailed');
    assert.match(error.message, /^instance of "hello" exited 3 after \d+\.\d s$/);
    assert.deepEqual(error.details?.logTail, ['no database']);
    return true;
  });
  assert.equal(agent.engine.containers.size, 0);
});

test('a guest whose handler does not load', { skip }, async () => {
  const say = (error: object): string =>
    `require('node:fs').writeSync(4, '${JSON.stringify({ ready: false, error })}\\n');
     setInterval(() => {}, 1000)`;
  await assert.rejects(
    start(startRequest(say({ name: 'TypeError', message: 'x is no function' }))),
    {
      code: 'StartFailed',
      message: 'handler of "hello" did not load: TypeError: x is no function',
    },
  );
  await assert.rejects(start(startRequest(say({ name: 'HandlerInvalid', message: 'no export' }))), {
    code: 'HandlerInvalid',
    message: 'no export',
  });
  assert.equal(agent.engine.containers.size, 0);
});

test('a guest that is never ready', { skip }, async () => {
  const script = 'console.log("waiting"); setInterval(() => {}, 1000)';
  const body = startRequest(script, { startTimeoutMs: 400 });
  await assert.rejects(start(body), (error) => {
    assert.ok(error instanceof HearthError);
    assert.equal(error.code, 'NotListening');
    assert.equal(error.message, 'handler of "hello" was not loaded within 0.4 s');
    assert.deepEqual(error.details?.logTail, ['waiting']);
    return true;
  });
  assert.equal(agent.engine.containers.size, 0);
});

test('a crash removes the record and says why', { skip }, async () => {
  const script = servingScript('setTimeout(() => process.kill(process.pid, "SIGSEGV"), 200)');
  const record = await start(startRequest(script, { functionName: 'crash' }));
  await until(() => isGone(record.id));
  await until(async () => (await logTexts('crash')).includes('exited with signal SIGSEGV'));
  const status = await agent.client.json<InstanceStatus>(`/v1/instances/${record.id}`);
  assert.equal(status.record.state, 'stopped');
  assert.equal(status.error?.code, 'InstanceCrashed');
  assert.equal(status.error?.message, 'instance exited with signal SIGSEGV');
});

test('a drain waits until every live gateway has released', { skip }, async () => {
  await putGateway('g1');
  await putGateway('g2');
  await putGateway('dead', 60_000);
  const record = await start(startRequest(servingScript()));
  const path = `/v1/instances/${record.id}`;
  const drain = { reason: 'test', timeoutMs: 30_000 };
  await agent.client.json(`${path}/drain`, { method: 'POST', body: drain });
  await until(async () => {
    const stored = await agent.store.get('instance', record.id);
    return stored?.record.state === 'draining';
  });
  await agent.client.json(`${path}/released`, { method: 'POST', body: { gateway: 'g1' } });
  await delay(100);
  assert.equal(await call(record), `hello from ${record.id}`);
  await agent.client.json(`${path}/released`, { method: 'POST', body: { gateway: 'g2' } });
  await until(() => isGone(record.id));
  await agent.store.remove('gateway', 'g1');
  await agent.store.remove('gateway', 'g2');
});

test('a drain that nobody answers ends after its time', { skip }, async () => {
  await putGateway('mute');
  const record = await start(startRequest(servingScript()));
  const body = { reason: 'test', timeoutMs: 150 };
  await agent.client.json(`/v1/instances/${record.id}/drain`, { method: 'POST', body });
  await until(() => isGone(record.id));
  await agent.store.remove('gateway', 'mute');
});

test('an instance that ignores SIGTERM is killed after its grace', { skip }, async () => {
  const script = servingScript('process.on("SIGTERM", () => console.log("no"))');
  const record = await start(startRequest(script, { functionName: 'stubborn', graceMs: 200 }));
  const body = { reason: 'test', timeoutMs: 0 };
  await agent.client.json(`/v1/instances/${record.id}/drain`, { method: 'POST', body });
  await until(() => isGone(record.id));
  const texts = await logTexts('stubborn');
  assert.ok(texts.includes('no'));
  assert.ok(texts.some((line) => line.startsWith('KilledAfterGrace')));
});

test('a node that is full refuses', { skip }, async () => {
  const body = startRequest(servingScript(), { memoryBytes: 900 * MIB });
  await assert.rejects(start(body), {
    code: 'NodeFull',
    message: 'node "n1" has 819 MiB left for containers, asked are 900 MiB',
  });
});

test('a start that cannot be written down leaves nothing', { skip }, async () => {
  const folder = join(agent.config.dataRoot, 'agent/n1/instances');
  renameSync(folder, `${folder}-away`);
  try {
    await assert.rejects(start(startRequest(servingScript())), { code: 'Internal' });
    assert.equal(agent.engine.containers.size, 0);
    const { instances } = await agent.client.json<{ instances: [] }>('/v1/instances');
    assert.deepEqual(instances, []);
  } finally {
    renameSync(`${folder}-away`, folder);
  }
});

test('a bad request is answered with every fault', { skip }, async () => {
  const body = { ...startRequest(''), port: 0, contract: 'pipe', image: { repository: '../x' } };
  await assert.rejects(start(body as unknown as StartInstanceRequest), (error) => {
    assert.ok(error instanceof HearthError);
    assert.equal(error.code, 'BadRequest');
    assert.match(error.message, /image must be .*contract must be .*port must be/);
    return true;
  });
});

test('an image is prepared before anybody starts from it', { skip }, async () => {
  const { image } = startRequest('');
  const path = '/v1/images/prepare';
  const answer = await agent.client.json(path, { method: 'POST', body: { image } });
  assert.deepEqual(answer, { pulled: false, pullMs: 0 });
});

test('unknown instances, and nobody without the token', { skip }, async () => {
  await assert.rejects(agent.client.json('/v1/instances/i-none'), { code: 'NotFound' });
  const baseUrl = agent.daemon.addresses.api ?? '';
  const stranger = new HttpClient({ baseUrl, peer: 'node agent' });
  await assert.rejects(stranger.json('/v1/instances'), { code: 'Unauthorized' });
  await stranger.close();
});

test('a follower sees the past once, then each new line', { skip }, async () => {
  const more = 'let n = 0; setInterval(() => console.log("line " + n++), 20)';
  const record = await start(startRequest(servingScript(more), { functionName: 'chatty' }));
  const query = { function: 'chatty', tail: 1000, follow: true };
  const gone = new AbortController();
  const texts: string[] = [];
  const options = { query, signal: gone.signal };
  try {
    for await (const line of agent.client.lines<LogLine>('/v1/logs', options)) {
      if (line.stream === 'stdout') texts.push(line.text);
      if (texts.length === 20) break;
    }
  } finally {
    gone.abort();
  }
  assert.deepEqual(
    texts,
    Array.from({ length: 20 }, (_, i) => `line ${i}`),
  );
  await agent.client.json(`/v1/instances/${record.id}`, { method: 'DELETE' });
});

test('while the store is away starts go well; their records come later', { skip }, async () => {
  await agent.redis.kill();
  const record = await start(startRequest(servingScript()));
  assert.equal(await call(record), `hello from ${record.id}`);
  await agent.redis.start();
  await until(async () => {
    const stored = await agent.store.get('instance', record.id).catch(() => undefined);
    return stored?.record.state === 'ready';
  });
});

test('metrics name starts, phases and instances', { skip }, async () => {
  const page = await (await agent.client.raw('/metrics')).body.text();
  assert.match(page, /hearth_agent_starts_total\{reason="cold",outcome="ready"\} [1-9]/);
  assert.match(page, /hearth_agent_starts_total\{reason="cold",outcome="NodeFull"\} 1/);
  assert.match(page, /hearth_agent_instances\{state="ready"\} 1/);
  assert.match(page, /hearth_agent_start_phase_seconds_count\{phase="total"\} [1-9]/);
});

test('a stop ends everything, whoever follows or serves', { skip }, async () => {
  const record = await start(startRequest(servingScript()));
  const query = { function: 'hello', follow: true };
  const follower = await agent.client.raw('/v1/logs', { query });
  const drained = text(follower.body);
  await agent.stop();
  await drained;
  assert.equal(agent.engine.containers.size, 0);
  assert.deepEqual(await agent.store.list('instance'), []);
  assert.deepEqual(await agent.store.list('node'), []);
  assert.ok(record.endpoint.kind === 'unix' && !existsSync(record.endpoint.path));
});
