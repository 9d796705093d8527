import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync, statSync } from 'node:fs';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { ContainerInfo } from '../../lib/container-api.ts';
import { LIMITS, MIB } from '../../lib/limits.ts';
import { ContainerAgent } from '../testing/container-agent.ts';
import { kernelSkip } from '../testing/kernel-guests.ts';

/** RES-7: what a container writes costs nobody but itself. `RES7_MIB` is how much; a full run: 1024. */
const skip = kernelSkip();
const FLOOD_MIB = Number(process.env.RES7_MIB ?? 16);

let agent: ContainerAgent;
before(async () => {
  if (skip === false) agent = await ContainerAgent.start(3);
});
after(() => agent?.end());

async function droppedBytes(): Promise<number> {
  const page = await (await fetch(`${agent.url}/metrics`)).text();
  return Number(/^hearth_agent_log_dropped_bytes_total (\S+)$/m.exec(page)?.[1]);
}

async function runTimed(script: string): Promise<{ info: ContainerInfo; ms: number }> {
  const { id } = await agent.sh(script);
  const info = await agent.get(id, '/wait');
  assert.equal(info.exitCode, 0, (await agent.texts(id)).slice(-3).join());
  return { info, ms: (info.endedAtMs ?? 0) - info.startedAtMs };
}

function logBytes(id: string): number {
  const folder = join(agent.config.dataRoot, 'agent', 'c3', 'container-logs', id);
  return readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
}

test('RES-7: one endless line is cut, and each byte is kept or counted', { skip }, async () => {
  const before = await droppedBytes();
  const bytes = FLOOD_MIB * MIB;
  const { info } = await runTimed(
    `dd if=/dev/zero bs=1M count=${FLOOD_MIB} 2>/dev/null | busybox tr '\\0' x`,
  );
  const lines = await agent.logs(info.id, { tail: 'all' });
  const kept = lines.filter(({ stream, text }) => stream === 'stdout' && /^x+$/.test(text));
  assert.ok(kept.every(({ text }) => text.length <= LIMITS.logLineBytesMax));
  const keptBytes = kept.reduce((sum, { text }) => sum + text.length, 0);
  assert.equal(keptBytes + (await droppedBytes()) - before, bytes);
  assert.ok(lines.some(({ text }) => /^… .* dropped \(limit 1 MiB\/s\)$/.test(text)));
  assert.ok(logBytes(info.id) <= 2 * LIMITS.logFileBytesMax);
  await agent.remove(info.id);
});

test('RES-7: lines as fast as they go, in bounds', { skip }, async () => {
  const before = await droppedBytes();
  const { info } = await runTimed(`yes | head -c ${FLOOD_MIB * MIB}`);
  const lines = await agent.logs(info.id, { tail: 'all' });
  assert.ok(lines.length > 1_000);
  assert.ok((await droppedBytes()) > before);
  assert.ok(logBytes(info.id) <= 2 * LIMITS.logFileBytesMax);
  await agent.remove(info.id);
});

test('RES-7: bytes that are no text, and signs that steer a terminal, are kept as data', {
  skip,
}, async () => {
  const script = "printf 'a\\377\\376b\\n\\033[2Jclear\\r\\n\\000nul\\n'";
  const { info } = await runTimed(script);
  assert.deepEqual(await agent.texts(info.id), ['a\ufffd\ufffdb', '\u001b[2Jclear', '\u0000nul']);
  await agent.remove(info.id);
});

test('RES-7: a reader that stops reading holds up nobody, not even the agent’s end', {
  skip,
}, async () => {
  // The last word comes when the rate has room again
  const flood = `sleep 0.2; yes | head -c ${FLOOD_MIB * MIB}; sleep 1.5; echo done`;
  const alone = await runTimed(flood);
  const { id } = await agent.sh(flood);
  const request = httpRequest(`${agent.url}/v1/containers/${id}/logs?follow=1`, {
    agent: false,
    headers: { authorization: `Bearer ${agent.token}` },
  });
  request.end();
  const [answer] = (await once(request, 'response')) as [IncomingMessage];
  answer.pause();
  const info = await agent.get(id, '/wait');
  const ms = (info.endedAtMs ?? 0) - info.startedAtMs;
  assert.ok(ms <= alone.ms * 3, `${ms} ms with a stopped reader, ${alone.ms} ms without`);
  assert.ok((await agent.texts(id)).includes('done'));
  for (const one of [id, alone.info.id]) await agent.remove(one);
  request.on('error', () => {});
  await agent.close();
  request.destroy();
});
