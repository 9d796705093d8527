import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { hasRedis } from '../lib/testing/redis.ts';
import { TestPlatform } from './testing/platform.ts';

const skip = hasRedis() ? false : 'needs redis-server';
let platform: TestPlatform;

before(async () => {
  if (skip !== false) return;
  platform = await TestPlatform.start({
    handler: (instance) => (request, response) => {
      response.setHeader('x-instance', instance.id);
      response.end(`${request.method} ${request.url}`);
    },
  });
  await platform.deploy('hello');
});
after(async () => platform?.stop());

test('a cold request starts an instance, a warm one uses it', { skip }, async () => {
  const cold = await fetch(`${platform.url}/function/hello/a?b=c`);
  assert.equal(cold.status, 200);
  assert.equal(await cold.text(), 'GET /a?b=c');
  assert.equal(cold.headers.get('x-cold-start'), '1');
  assert.match(cold.headers.get('server-timing') ?? '', /^queue;dur=[\d.]+, mount;dur=1.00, spawn/);
  const warm = await fetch(`${platform.url}/function/hello`);
  assert.equal(await warm.text(), 'GET /');
  assert.equal(warm.headers.get('x-cold-start'), null);
  assert.equal(warm.headers.get('x-instance'), cold.headers.get('x-instance'));
  assert.equal(platform.agent.starts.length, 1);
});
