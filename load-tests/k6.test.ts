import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { packageRoot } from '../lib/paths.ts';
import { obtainK6 } from './programs/k6.ts';
import { type Ran, run } from './programs/run.ts';

const SCRIPT = join(packageRoot, 'load-tests/k6/cold-start.js');

interface Summary {
  metrics: Record<string, Record<string, number>>;
}

let k6: Awaited<ReturnType<typeof obtainK6>>;
before(async () => {
  k6 = await obtainK6();
});

/** A gateway as the script sees it: after `idleMs` of silence the next answer is a cold one. */
async function startGateway(idleMs: number): Promise<Server> {
  let lastMs = Number.NEGATIVE_INFINITY;
  const server = createServer((request, response) => {
    const nowMs = performance.now();
    const isCold = nowMs - lastMs > idleMs;
    lastMs = nowMs;
    if (isCold) response.setHeader('Server-Timing', 'queue;dur=1.00, spawn;dur=2.50, app;dur=0.5');
    response.statusCode = request.url === '/function/hello/' ? 200 : 404;
    response.end('hello');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

async function runScript(
  path: string,
  server: Server,
  settings: Record<string, string>,
): Promise<{ ran: Ran; summary: Summary }> {
  const folder = mkdtempSync(join(tmpdir(), 'hearth-k6-'));
  const file = join(folder, 'summary.json');
  const { port } = server.address() as AddressInfo;
  const all = { HEARTH_URL: `http://127.0.0.1:${port}`, COLD_CALLS: '3', ...settings };
  const sets = Object.entries(all).flatMap(([name, value]) => ['-e', `${name}=${value}`]);
  try {
    const args = ['run', '--quiet', '--no-usage-report', '--summary-export', file, ...sets, SCRIPT];
    const ran = await run(path, args);
    return { ran, summary: JSON.parse(readFileSync(file, 'utf8')) as Summary };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test('the script counts cold answers, their phases and warm ones', async (t) => {
  if ('missing' in k6) return t.skip(`needs ${k6.missing}`);
  const server = await startGateway(200);
  try {
    const { ran, summary } = await runScript(k6.path, server, {
      IDLE_SECONDS: '0.4',
      WARM_CALLS: '5',
      COLD_MS_MAX: '5000',
      WARM_MS_MAX: '5000',
    });
    assert.equal(ran.code, 0, ran.stdout + ran.stderr);
    assert.equal(summary.metrics.hearth_cold_answers?.count, 3);
    assert.equal(summary.metrics.hearth_phase_spawn_ms?.med, 2.5);
    assert.equal(summary.metrics.http_reqs?.count, 18);
  } finally {
    server.close();
  }
});

test('an instance that did not end fails the run', async (t) => {
  if ('missing' in k6) return t.skip(`needs ${k6.missing}`);
  const server = await startGateway(60_000);
  try {
    const { ran } = await runScript(k6.path, server, { IDLE_SECONDS: '0.05', WARM_CALLS: '1' });
    assert.notEqual(ran.code, 0);
    assert.match(ran.stdout + ran.stderr, /thresholds on metrics .*crossed/);
  } finally {
    server.close();
  }
});
