import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { createQueues, createWorker, type Queues, type WorkerOptions } from './queue.ts';
import { silentLog } from './telemetry/log.ts';
import { startProxy } from './testing/proxy.ts';
import { hasRedis, startRedis, type TestRedis } from './testing/redis.ts';

const skip = hasRedis() ? false : 'needs redis-server';

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 1_500; tries += 1) {
    if (await holds()) return;
    await delay(20);
  }
  assert.fail(`did not come true: ${what}`);
}

describe('queues', { skip }, () => {
  let redis: TestRedis;
  let queues: Queues;
  let options: WorkerOptions;
  let prefixes = 0;
  before(async () => {
    redis = await startRedis();
  });
  after(async () => {
    await redis?.stop();
  });
  const fresh = async (test: () => Promise<void>): Promise<void> => {
    const shared = { url: redis.url, prefix: `t${++prefixes}`, log: silentLog() };
    options = { ...shared, concurrency: 2 };
    queues = createQueues(shared);
    try {
      await test();
    } finally {
      await queues.close();
    }
  };
  const job = (revisionId: string) => ({ revisionId, buildId: 'b-1' });

  it('runs a job once, however often it is added', () =>
    fresh(async () => {
      const ran: string[] = [];
      const worker = createWorker(
        'rollouts',
        async ({ revisionId }) => {
          ran.push(revisionId);
        },
        options,
      );
      for (let times = 0; times < 3; times += 1) {
        await queues.add('rollouts', job('hello-00001'), { jobId: 'hello-00001' });
      }
      await queues.add('rollouts', job('hello-00002'), { jobId: 'hello-00002' });
      await until('both ran', () => ran.length >= 2);
      await queues.add('rollouts', job('hello-00001'), { jobId: 'hello-00001' });
      await delay(100);
      assert.deepEqual(ran.sort(), ['hello-00001', 'hello-00002']);
      await worker.close();
    }));

  it('tries a job again after a throw', () =>
    fresh(async () => {
      let tries = 0;
      const worker = createWorker(
        'rollouts',
        async () => {
          tries += 1;
          if (tries < 2) throw new Error('the store was away');
        },
        options,
      );
      await queues.add('rollouts', job('r'), { jobId: 'r' });
      await until('second try', () => tries === 2);
      await worker.close();
      assert.equal((await queues.depth('rollouts')).failed, 0);
    }));

  it('aborts the signal of a running job when its worker closes, and leaves the job to another', () =>
    fresh(async () => {
      let isAborted = false;
      let isTaken = false;
      const handler = async (_payload: unknown, signal: AbortSignal): Promise<void> => {
        isTaken = true;
        await once(signal, 'abort');
        isAborted = true;
        throw signal.reason;
      };
      const worker = createWorker('rollouts', handler, options);
      await queues.add('rollouts', job('r'), { jobId: 'r' });
      await until('taken', () => isTaken);
      await worker.close();
      assert.equal(isAborted, true);
      let isDone = false;
      const next = createWorker(
        'rollouts',
        async () => {
          isDone = true;
        },
        options,
      );
      await until('done by the next worker', () => isDone);
      await next.close();
    }));

  it('gives each repetition to one of two workers', () =>
    fresh(async () => {
      const runs: number[] = [];
      const worker = () =>
        createWorker(
          'reconcile',
          async () => {
            runs.push(performance.now());
          },
          options,
        );
      const workers = [worker(), worker()];
      await queues.repeat('reconcile', {}, 200);
      await queues.repeat('reconcile', {}, 200);
      await until('five runs', () => runs.length >= 5);
      const gaps = runs.slice(1).map((at, index) => at - (runs[index] ?? 0));
      assert.ok(
        gaps.filter((gap) => gap < 20).length <= 1,
        `runs are apart: ${gaps.map(Math.round).join(', ')} ms`,
      );
      for (const one of workers) await one.close();
    }));

  it('refuses job ids that Redis or BullMQ would misread', () =>
    fresh(async () => {
      for (const jobId of ['a:b', '123', '', 'stalled', 'waiting-children', 'x'.repeat(200)]) {
        await assert.rejects(queues.add('rollouts', job('r'), { jobId }), { code: 'BadRequest' });
      }
    }));

  it('fails fast with QueueUnavailable while Redis is away; adds and works again after', () =>
    fresh(async () => {
      const ran: string[] = [];
      const worker = createWorker(
        'rollouts',
        async ({ revisionId }) => {
          ran.push(revisionId);
        },
        options,
      );
      await queues.add('rollouts', job('before'), { jobId: 'before' });
      await until('before', () => ran.includes('before'));
      await redis.kill();
      const startedMs = performance.now();
      const adding = queues.add('rollouts', job('away'), { jobId: 'away' });
      await assert.rejects(adding, { code: 'QueueUnavailable' });
      assert.ok(performance.now() - startedMs < 4_000, 'fails fast');
      await redis.start();
      await until('added', () =>
        queues.add('rollouts', job('after'), { jobId: 'after' }).then(
          () => true,
          () => false,
        ),
      );
      await until('after', () => ran.includes('after'));
      assert.ok(!ran.includes('away'), 'a refused job is not run later');
      await worker.close();
    }));

  it('hears of jobs again after its connections lost their other end without a word', () =>
    fresh(async () => {
      const proxy = await startProxy(redis.url);
      const ran: string[] = [];
      const worker = createWorker(
        'rollouts',
        async ({ revisionId }) => {
          ran.push(revisionId);
        },
        { ...options, url: proxy.url },
      );
      try {
        await queues.add('rollouts', job('before'), { jobId: 'before' });
        await until('before', () => ran.includes('before'));
        proxy.freeze();
        await queues.add('rollouts', job('after'), { jobId: 'after' });
        await until('after', () => ran.includes('after'));
      } finally {
        await worker.close();
        proxy.stop();
      }
    }));

  it('closes within its bound while Redis is away', () =>
    fresh(async () => {
      const worker = createWorker('rollouts', async () => undefined, options);
      await queues.add('rollouts', job('r'), { jobId: 'r' });
      await redis.kill();
      try {
        const startedMs = performance.now();
        await worker.close();
        assert.ok(performance.now() - startedMs < 8_000, 'bounded');
      } finally {
        await redis.start();
      }
    }));

  it('resumes a job whose worker process was killed', () =>
    fresh(async () => {
      await queues.add('rollouts', job('held'), { jobId: 'held' });
      const dying = startHolder(redis.url, options.prefix);
      try {
        await until('taken', async () => (await queues.depth('rollouts')).active === 1);
      } finally {
        dying.kill('SIGKILL');
      }
      await once(dying, 'exit');
      let isDone = false;
      const worker = createWorker(
        'rollouts',
        async ({ revisionId }) => {
          isDone = revisionId === 'held';
        },
        { ...options, lockMs: 1_000, stalledMs: 300 },
      );
      await until('resumed', () => isDone);
      await worker.close();
    }));
});

/** A process that takes a job of `rollouts` and holds it until it is killed. */
function startHolder(url: string, prefix: string): ChildProcess {
  const source = `
    import { createWorker } from ${JSON.stringify(new URL('./queue.js', import.meta.url).href)};
    import { silentLog } from ${JSON.stringify(new URL('./telemetry/log.js', import.meta.url).href)};
    const options = ${JSON.stringify({ url, prefix, concurrency: 1, lockMs: 1_000 })};
    createWorker('rollouts', () => new Promise(() => {}), { ...options, log: silentLog() });
  `;
  const args = ['--input-type=module', '--eval', source];
  return spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] });
}
