import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { missingForContainers } from './testing/busybox-layer.ts';
import { missingForCompile } from './testing/compile.ts';
import { assertNoLeaks } from './testing/first-instruction.ts';
import {
  HOST,
  HOST_ABSTRACT,
  HOST_PORTS,
  METADATA,
  METADATA_IPV6,
  NetWorld,
  OUTSIDE_PORTS,
  PEER,
  PRIVATE,
  PUBLIC,
} from './testing/net-world.ts';

const skip = missingForContainers() ?? missingForCompile() ?? false;
const STARTS = 60;
const PROTOCOLS = ['tcp', 'udp'];

const each = (addresses: readonly string[], ports: readonly number[]): string[] =>
  PROTOCOLS.flatMap((protocol) =>
    addresses.flatMap((address) => ports.map((port) => `${protocol}:${address}:${port}`)),
  );

function open(verdicts: Record<string, string>): string[] {
  return Object.keys(verdicts).filter((target) => verdicts[target] === 'open');
}

function assertDenied(verdicts: Record<string, string>, targets: readonly string[]): void {
  assert.equal(Object.keys(verdicts).length, targets.length);
  assert.deepEqual(open(verdicts), []);
}

/** An address goes from the allow-list with its container, and soon from everything else. */
async function assertForgotten(world: NetWorld, address = ''): Promise<void> {
  const listed = ['list', 'set', 'inet', `hearth_${world.options.name}`, 'egress'];
  assert.ok(!world.enter(world.hostNetns, ['nft', ...listed]).includes(address));
  const rules = () => world.enter(world.hostNetns, ['nft', 'list', 'ruleset']);
  for (let tries = 0; rules().includes(`${address} `); tries++) {
    assert.ok(tries < 100, rules());
    await sleep(100);
  }
}

describe('NET matrix', { skip }, () => {
  let world: NetWorld;
  before(async () => {
    world = await NetWorld.make();
  });
  after(() => world?.close());

  const gateway = '10.77.0.1';
  const outside = [...METADATA, ...PRIVATE, PEER.private];

  test('the world answers to the host everywhere, so that a denial means something', () => {
    const targets = [
      ...each([...outside, PUBLIC, ...world.nameservers], OUTSIDE_PORTS),
      ...each([HOST.public, HOST.private, HOST.loopback], HOST_PORTS),
      `tcp:[${METADATA_IPV6}]:80`,
      `tcp:[${PEER.ipv6}]:80`,
    ];
    assert.deepEqual(open(world.probeHost(targets)), targets);
  });

  test('metadata, private networks and the host’s neighbours are denied', async () => {
    await world.seen();
    const targets = each(outside, OUTSIDE_PORTS);
    assertDenied(await world.probe(targets), targets);
    assert.deepEqual(await world.seen(), []);
  });

  test('the host is denied at every address, by its public one too', async () => {
    await world.seen();
    const targets = each([HOST.public, HOST.private, gateway, HOST.loopback], HOST_PORTS);
    assertDenied(await world.probe(targets), targets);
    assert.deepEqual(await world.seen(), []);
  });

  test('IPv6 is off: nothing goes out by it', async () => {
    await world.seen();
    const targets = each(
      [
        `[${METADATA_IPV6}]`,
        `[${PEER.ipv6}]`,
        '[fe80::1%eth0]',
        '[ff02::1%eth0]',
        '[2001:db8:1::1]',
        `[::ffff:${PRIVATE[0]}]`,
        `[::ffff:${METADATA[0]}]`,
      ],
      OUTSIDE_PORTS,
    );
    assertDenied(await world.probe(targets), targets);
    const { id, pid } = await world.engine.start(world.spec(['sleep', '60']));
    assert.equal(readFileSync(`/proc/${pid}/net/if_inet6`, 'utf8'), '');
    // Not even root of the host gets a packet out by that link
    const forced = world.probeAs(pid, targets);
    assert.ok(!forced.includes(' open'), forced);
    assert.deepEqual(await world.seen(), []);
    await world.engine.remove(id);
  });

  test('other containers are denied, of the same engine and by the same address family', async () => {
    const other = await world.serve();
    const targets = [`tcp:${other.address}:80`, `tcp:[::ffff:${other.address}]:80`];
    assert.deepEqual(open(world.probeHost(targets.slice(0, 1))), targets.slice(0, 1));
    assertDenied(await world.probe(targets), targets);
    await world.engine.remove(other.id);
  });

  test('containers of another engine are denied, both ways', async () => {
    const another = world.anotherEngine();
    await another.adopt();
    const other = await another.start(world.spec(['/bin/net-probe', 'serve', '80']));
    const own = await world.serve();
    const targets = [`tcp:${other.address}:80`, `tcp:${own.address}:80`];
    assert.deepEqual(open(world.probeHost(targets)), targets);
    assertDenied(await world.probe(targets), targets);
    const { id } = await another.start(world.spec(['/bin/net-probe', ...targets]));
    await another.exited(id);
    assert.ok(!(await another.output(id)).includes(' open'));
    await another.close({ keepContainers: false });
    await world.engine.remove(own.id);
  });

  test('abstract sockets are each network’s own', async () => {
    const argv = ['abstract', HOST_ABSTRACT];
    assert.equal(world.probeAsHost(argv), 'open\n');
    assert.equal((await world.run(['/bin/net-probe', ...argv])).text, 'refused\n');
  });

  test('the internet and name servers are allowed, and nothing else of a name server', async () => {
    const allowed = [...each([PUBLIC], OUTSIDE_PORTS), ...each(world.nameservers, [53])];
    const denied = each(world.nameservers, [80]);
    const verdicts = await world.probe([...allowed, ...denied]);
    assert.deepEqual(open(verdicts).sort(), [...allowed].sort());
  });

  test('a listed network is allowed, at the listed port, to that container alone', async () => {
    const [first = '', second = '', third = ''] = PRIVATE;
    const egress = [
      { cidr: '10.200.0.0/16', port: 443 },
      { cidr: '10.0.0.0/8', port: 443 },
      { cidr: second },
    ];
    const targets = [
      ...each([first, second, third, PEER.private, ...METADATA], OUTSIDE_PORTS),
      ...each([HOST.private, gateway], HOST_PORTS),
    ];
    const allowed = [...each([first, PEER.private], [443]), ...each([second], OUTSIDE_PORTS)];
    const verdicts = await world.probe(targets, { egress });
    assert.deepEqual(open(verdicts).sort(), [...allowed].sort());
    assertDenied(await world.probe(targets), targets);
  });

  test(`0 leaks over ${STARTS} starts that connect in their first instruction`, () =>
    assertNoLeaks(world, STARTS));

  test('a false source goes nowhere, by IP or ARP, though root of the host sends it', async () => {
    const [listed = ''] = PRIVATE;
    const rich = await world.engine.start(
      world.spec(['sleep', '60'], { egress: [{ cidr: listed }] }),
    );
    const poor = await world.engine.start(world.spec(['sleep', '60']));
    await world.seen();
    world.probeAs(rich.pid, ['spoof', rich.address ?? '', listed, '80']);
    await sleep(100);
    assert.equal((await world.seen()).length, 1);
    world.probeAs(poor.pid, ['spoof', rich.address ?? '', listed, '80']);
    world.probeAs(poor.pid, ['spoof', '198.51.100.77', PUBLIC, '80']);
    await sleep(100);
    assert.deepEqual(await world.seen(), []);
    const neighbours = () => world.enter(world.hostNetns, ['ip', 'neighbour']);
    const before = neighbours().match(/10\.77\.\S+ dev \S+ lladdr \S+/g);
    world.probeAs(poor.pid, ['arp', rich.address ?? '']);
    world.probeAs(poor.pid, ['arp', '10.77.0.99']);
    await sleep(50);
    assert.deepEqual(neighbours().match(/10\.77\.\S+ dev \S+ lladdr \S+/g), before);
    for (const { id } of [rich, poor]) await world.engine.remove(id);
  });

  test('a program has no right to any false source: raw, packet and bound sockets', async () => {
    const rich = await world.serve();
    const more = { capabilities: ['CAP_NET_RAW', 'CAP_NET_ADMIN', 'CAP_CHOWN'] };
    await world.seen();
    for (const extra of [{}, more]) {
      const spoof = await world.run(['/bin/net-probe', 'spoof', rich.address, PUBLIC, '80'], extra);
      assert.match(spoof.text, /Operation not permitted/);
      const arp = await world.run(['/bin/net-probe', 'arp', rich.address], extra);
      assert.match(arp.text, /not permitted/);
      const bind = ['/bin/net-probe', 'bind', rich.address, PUBLIC, '80', '0'];
      const bound = await world.run(bind, extra);
      assert.match(bound.text, /cannot/);
    }
    assert.deepEqual(await world.seen(), []);
    await world.engine.remove(rich.id);
  });

  test('the rules hold while the engine is dead, and are whole when it comes again', async () => {
    const [listed = ''] = PRIVATE;
    const argv = (target: string) => [
      '/bin/sh',
      '-c',
      `while :; do net-probe ${target}; sleep 0.2; done`,
    ];
    const rich = await world.engine.start(
      world.spec(argv(`tcp:${listed}:80`), { egress: [{ cidr: listed }] }),
    );
    const poor = await world.engine.start(
      world.spec(argv(`tcp:${PRIVATE[1]}:80 tcp:${METADATA[0]}:80`)),
    );
    const watch = async (): Promise<void> => {
      const seen: string[] = [];
      await world.seen();
      for (let tries = 0; tries < 15 || seen.length === 0; tries++) {
        assert.ok(tries < 200, 'what is allowed does not arrive');
        await sleep(100);
        seen.push(...(await world.seen()));
      }
      assert.deepEqual(
        seen.filter((line) => !line.startsWith(`tcp ${listed}:80`)),
        [],
      );
    };
    await watch();
    await world.engine.crash();
    await watch();
    const adopted = await world.restart();
    assert.equal(adopted.length, 2);
    await watch();
    for (const { id } of [rich, poor]) await world.engine.remove(id);
    await assertForgotten(world, rich.address);
  });

  test('the rules of a container that ended while no engine was there are swept', async () => {
    const { address = '', pid } = await world.engine.start(
      world.spec(['sleep', '60'], { egress: [{ cidr: PRIVATE[0] ?? '' }] }),
    );
    await world.engine.crash();
    process.kill(pid, 'SIGKILL');
    for (const { id } of await world.restart()) await world.engine.remove(id);
    await assertForgotten(world, address);
  });
});

describe('NET: an address that is used again', { skip }, () => {
  let world: NetWorld;
  before(async () => {
    // 13 addresses
    world = await NetWorld.make({ subnet: '10.78.0.0/28', networkSlots: 0 });
  });
  after(() => world?.close());

  test('its next holder has neither the rules nor the connections of the last', async () => {
    const [listed = ''] = PRIVATE;
    const others = await Promise.all(
      Array.from({ length: 12 }, () => world.engine.start(world.spec(['sleep', '60']))),
    );
    // A flow that the kernel remembers, from a source port that the next one takes too
    const send = async (more: object): Promise<string> => {
      const script = `net-probe bind 0.0.0.0 ${listed} 80 5000; sleep 0.1; ip -o -4 address show eth0`;
      const { text } = await world.run(['/bin/sh', '-c', script], more);
      return /inet (\S+)\//.exec(text)?.[1] ?? text;
    };
    await world.seen();
    const first = await send({ egress: [{ cidr: listed }] });
    assert.equal((await world.seen()).length, 1);
    assert.equal(await send({}), first);
    assert.deepEqual(await world.seen(), []);
    const remembered = world.enter(world.hostNetns, ['cat', '/proc/net/nf_conntrack']);
    assert.ok(!remembered.includes(listed), remembered);
    for (const { id } of others) await world.engine.remove(id);
  });
});

describe('NET: who on the host may connect to containers', { skip }, () => {
  let world: NetWorld;
  before(async () => {
    world = await NetWorld.make({ reachableByUids: [65_523] });
  });
  after(() => world?.close());

  test('root and the named users, and nobody else', async () => {
    const { address, id } = await world.serve();
    const target = `tcp:${address}:80`;
    assert.deepEqual(open(world.probeHost([target])), [target]);
    assert.deepEqual(open(world.probeHostAs(65_523, [target])), [target]);
    assert.deepEqual(open(world.probeHostAs(65_534, [target])), []);
    await world.engine.remove(id);
  });
});
