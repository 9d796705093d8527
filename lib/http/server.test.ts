import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { HearthError } from '../errors.ts';
import { type Log, silentLog } from '../telemetry/log.ts';
import { Metrics } from '../telemetry/metrics.ts';
import { createApiServer } from './server.ts';

test('a caller that leaves is no failure of the server; what fails meanwhile is', async () => {
  const failures: string[] = [];
  const failed = Promise.withResolvers<void>();
  const error = (fields: { path: string }): void => {
    failures.push(fields.path);
    failed.resolve();
  };
  const log = { ...silentLog(), error } as unknown as Log;
  const app = createApiServer({ log, metrics: new Metrics(), token: 'secret' });
  const arrived: (() => void)[] = [];
  app.get('/v1/:what', async ({ params }, reply) => {
    const gone = new AbortController();
    reply.raw.once('close', () => gone.abort());
    arrived.shift()?.();
    await once(gone.signal, 'abort');
    if ((params as { what: string }).what === 'waits') gone.signal.throwIfAborted();
    throw new HearthError('Internal', 'broken');
  });
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  try {
    for (const what of ['waits', 'breaks']) {
      const { promise, resolve } = Promise.withResolvers<void>();
      arrived.push(resolve);
      const headers = { authorization: 'Bearer secret' };
      const sent = request(`${url}/v1/${what}`, { headers, agent: false });
      sent.on('error', () => {});
      sent.end();
      await promise;
      sent.destroy();
    }
    await failed.promise;
    assert.deepEqual(failures, ['/v1/breaks']);
  } finally {
    await app.close();
  }
});

test('a stream that fails before its first byte is an error like any other', async () => {
  const app = createApiServer({ log: silentLog(), metrics: new Metrics(), token: 'secret' });
  app.get('/v1/archive', async (_request, reply) => {
    const read = (): void => void failing.destroy(new HearthError('Conflict', 'not now'));
    const failing = new Readable({ read });
    return reply.type('application/x-tar').header('content-length', 99).send(failing);
  });
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  try {
    const answer = await fetch(`${url}/v1/archive`, {
      headers: { authorization: 'Bearer secret' },
    });
    assert.equal(answer.status, 409);
    assert.match(answer.headers.get('content-type') ?? '', /^application\/json/);
    const { error } = (await answer.json()) as { error: { code: string; message: string } };
    assert.deepEqual([error.code, error.message], ['Conflict', 'not now']);
  } finally {
    await app.close();
  }
});
