import assert from 'node:assert/strict';
import { lstatSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { ContainerInfo, EventInfo } from '../../lib/container-api.ts';
import { ownProcesses, readIfThere } from '../engine/testing/host-files.ts';
import { unixSocketNames } from '../engine/testing/unix-sockets.ts';
import { ContainerAgent } from '../testing/container-agent.ts';
import { kernelSkip } from '../testing/kernel-guests.ts';

/** An agent and images that want more of it than to be run; each test is named by a hole elsewhere. */
const skip = kernelSkip();

let agent: ContainerAgent;
before(async () => {
  if (skip === false) agent = await ContainerAgent.start(9);
});
after(() => agent?.end());

test('CVE-2026-53488: labels of an image are no labels of its container, and nobody obeys them', {
  skip,
}, async () => {
  const names = [
    ...['hearth.function', 'hearth.revision', 'hearth.name', 'hearth.engine.disk-bytes'],
    ...['run.oci.handler', 'io.katacontainers.config.hypervisor.path', 'dev.gvisor.flag.network'],
    ...['containerd.io/restart.loguri', 'io.kubernetes.cri.container-type'],
  ];
  const Labels = Object.fromEntries(names.map((name) => [name, 'binary:///bin/evil']));
  const Env = [
    'LD_PRELOAD=/evil.so',
    'NODE_OPTIONS=--require=/evil',
    'HEARTH_NAME=evil',
    'PATH=/bin',
  ];
  const config = { Cmd: ['sh', '-c', 'env; sleep 60'], Env, Labels };
  await agent.registry.addBusybox('evil:1', config);
  const { id } = await agent.run({ image: 'evil:1', labels: { mine: '1' } });
  const info = await agent.get<ContainerInfo>(id);
  assert.deepEqual(info.labels, { mine: '1' });
  const obeys = ownProcesses().filter((pid) => {
    const isPlatform = /node-agent|launcher/.test(readIfThere(`/proc/${pid}/cmdline`));
    return isPlatform && readIfThere(`/proc/${pid}/environ`).includes('evil');
  });
  assert.deepEqual(obeys, []);
  const events: EventInfo[] = [];
  for await (const event of agent.client.lines<EventInfo>('/v1/events')) events.push(event);
  assert.ok(events.some((event) => event.id === id));
  assert.doesNotMatch(JSON.stringify(events), /binary:/);
  await agent.remove(id, true);
});

test('CVE-2026-53489: a log holds what was said, whatever stands at /dev/stdout', {
  skip,
}, async () => {
  const secret = join(agent.root, 'secret');
  writeFileSync(secret, 'of the host\n', { mode: 0o600 });
  const logs = join(agent.config.dataRoot, 'agent/c9/container-logs');
  const script = [
    `for f in stdout stderr; do busybox rm /dev/$f; busybox ln -s ${secret} /dev/$f; done`,
    `busybox ln -s ${logs} /logs; busybox mkfifo /tmp/current; echo said`,
    '(echo lost > /dev/stdout) 2>/dev/null; cat /logs/* 2>/dev/null; true',
  ];
  const { id } = await agent.sh(script.join('; '));
  await agent.get(id, '/wait');
  assert.deepEqual(await agent.texts(id), ['said']);
  await agent.remove(id);
});

test('CVE-2024-25621: folders of state are shut, and no file there has a container’s variables', {
  skip,
}, async () => {
  const secret = 'a-secret-of-a-user';
  const { id } = await agent.sh('sleep 60', { env: { TOKEN: secret } });
  const root = agent.config.dataRoot;
  const open: string[] = [];
  const telling: string[] = [];
  for (const name of readdirSync(root, { recursive: true, encoding: 'utf8' })) {
    const path = join(root, name);
    const facts = lstatSync(path);
    const isShut = (facts.mode & 0o077) === 0;
    // What lies in a folder that is shut cannot be reached
    if (!isShut && !isBelowShut(root, name)) open.push(`${name} ${facts.mode.toString(8)}`);
    if (facts.isFile() && readIfThere(path).includes(secret)) telling.push(name);
  }
  // The way to the sockets, which only the gateway's group may open
  assert.deepEqual(open.sort(), ['agent 40711', 'agent/c9 40711', 'agent/c9/sockets 42750']);
  assert.deepEqual(telling, []);
  await agent.remove(id, true);
});

test('CVE-2020-15257: no socket of the agent has an abstract name', { skip }, async () => {
  const { id } = await agent.sh('sleep 60');
  const names = unixSocketNames(ownProcesses(), 'self');
  assert.deepEqual(
    names.filter((name) => name.startsWith('@')),
    [],
  );
  await agent.remove(id, true);
});

function isBelowShut(root: string, name: string): boolean {
  const parts = name.split('/').slice(0, -1);
  return parts.some((_, n) => {
    const { mode } = statSync(join(root, ...parts.slice(0, n + 1)));
    return (mode & 0o011) === 0;
  });
}
