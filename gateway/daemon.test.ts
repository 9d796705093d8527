import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, test } from 'node:test';
import { flagOf } from '../lib/config.ts';
import type { ReadyMessage } from '../lib/daemon.ts';
import { hasRedis } from '../lib/testing/redis.ts';
import { behaviours, type Seen } from './testing/echo-handler.ts';
import { TestPlatform, until } from './testing/platform.ts';

/** The gateway as a process of its own. */

const skip = hasRedis() ? false : 'needs redis-server';
const seen: Seen = { requests: [], aborted: [] };
let platform: TestPlatform;
let child: ChildProcess;
let url = '';

before(async () => {
  if (skip !== false) return;
  platform = await TestPlatform.start({
    gateways: 0,
    handler: behaviours(seen, (id) => platform.agent.crash(id)),
  });
  await platform.deploy('hello');
  const flags = Object.entries(platform.config).map(([key, value]) => `--${flagOf(key)}=${value}`);
  child = fork(join(import.meta.dirname, 'main.js'), flags, { stdio: 'inherit' });
  const [message] = (await once(child, 'message')) as [ReadyMessage];
  url = message.addresses.api ?? '';
});
after(async () => {
  child?.kill('SIGKILL');
  await platform?.stop();
});

function rssBytes(): number {
  const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024;
}

/** The gateway's memory at its highest while `work` runs, above what it was before. */
async function growthBytes(work: () => Promise<void>): Promise<number> {
  const before = rssBytes();
  let peak = before;
  const timer = setInterval(() => {
    peak = Math.max(peak, rssBytes());
  }, 5);
  await work();
  clearInterval(timer);
  return peak - before;
}

function upload(mebibytes: number): Promise<Response> {
  const chunk = Buffer.alloc(64 * 1024, 'x');
  function* chunks(): Generator<Buffer> {
    for (let i = 0; i < mebibytes * 16; i++) yield chunk;
  }
  const body = Readable.toWeb(Readable.from(chunks()));
  return fetch(`${url}/function/hello/count`, {
    method: 'POST',
    body,
    duplex: 'half',
  } as unknown as RequestInit);
}

test('a large upload passes through with flat memory', { skip }, async () => {
  // What the garbage collector lets lie about is reached before the measurement.
  assert.equal(await (await upload(100)).text(), String(100 * 2 ** 20));
  const grown = await growthBytes(async () => {
    assert.equal(await (await upload(150)).text(), String(150 * 2 ** 20));
  });
  assert.ok(grown < 30 * 2 ** 20, `grew by ${grown} bytes`);
});

test('a large answer waits for a slow reader and is not kept in memory', { skip }, async () => {
  const grown = await growthBytes(async () => {
    const response = await fetch(`${url}/function/hello/flood`);
    let bytes = 0;
    for await (const chunk of response.body ?? []) {
      bytes += (chunk as Uint8Array).length;
      if (bytes % 7 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    }
    assert.equal(bytes, 50 * 2 ** 20);
  });
  assert.ok(grown < 30 * 2 ** 20, `grew by ${grown} bytes`);
});

test('SIGTERM ends requests under way first and leaves no record', { skip }, async () => {
  await until(async () => (await platform.store.list('demand')).length === 1);
  assert.equal((await platform.store.list('gateway')).length, 1);
  const pending = fetch(`${url}/function/hello/stream`);
  await until(() => seen.requests.some((request) => request.url === '/stream'));
  child.kill('SIGTERM');
  const exited = once(child, 'exit');
  const response = await pending;
  assert.equal(response.status, 200);
  assert.equal((await response.text()).split('data:').length, 6);
  assert.deepEqual(await exited, [0, null]);
  await assert.rejects(fetch(`${url}/healthz`));
  assert.deepEqual(await platform.store.list('gateway'), []);
  assert.deepEqual(await platform.store.list('demand'), []);
});
