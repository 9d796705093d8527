import assert from 'node:assert/strict';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { PublishedPort } from './container-spec.ts';
import { missingForContainers } from './testing/busybox-layer.ts';
import { missingForCompile } from './testing/compile.ts';
import { HOST, METADATA, NetWorld, PEER, PRIVATE, PUBLIC } from './testing/net-world.ts';

const skip = missingForContainers() ?? missingForCompile() ?? false;

function open(verdicts: Record<string, string>): string[] {
  return Object.keys(verdicts).filter((target) => verdicts[target] === 'open');
}

describe('named networks', { skip }, () => {
  let world: NetWorld;
  before(async () => {
    world = await NetWorld.make();
  });
  after(() => world?.close());

  /** What busybox' nslookup says of a name, from a container of a network. */
  const lookUp = async (network: string, ...names: string[]): Promise<string[]> => {
    const script = names.map((name) => `busybox nslookup ${name} 2>&1`).join('; echo; echo --; ');
    const { text } = await world.run(['/bin/sh', '-c', script], { network });
    return text.split('--\n');
  };

  test('containers of one reach each other by name, at every port, and nobody else', async () => {
    const app = await world.engine.createNetwork({ name: 'app', labels: { of: 'test' } });
    await world.engine.createNetwork({ name: 'other', subnet: '172.29.7.0/24' });
    const web = await world.serve({ network: 'app', hostname: 'web' });
    const far = await world.serve({ network: 'other', hostname: 'far' });
    const plain = await world.serve();
    const targets = [web, far, plain].flatMap(({ address }) => [
      `tcp:${address}:80`,
      `udp:${address}:80`,
    ]);
    assert.deepEqual(open(world.probeHost(targets)), targets);
    const inside = await world.probe(targets, { network: 'app' });
    assert.deepEqual(open(inside), targets.slice(0, 2));
    assert.deepEqual(open(await world.probe(targets)), []);
    const denied = [
      `tcp:${HOST.private}:8080`,
      `tcp:${app.gateway}:8080`,
      'udp:10.77.0.1:53',
      `udp:172.29.7.1:53`,
      ...[...METADATA, ...PRIVATE].map((address) => `tcp:${address}:80`),
    ];
    const verdicts = await world.probe([`tcp:${PUBLIC}:80`, ...denied], { network: 'app' });
    assert.deepEqual(open(verdicts), [`tcp:${PUBLIC}:80`]);
    const listed = { network: 'app', egress: [{ cidr: PRIVATE[0] ?? '' }] };
    const target = `tcp:${PRIVATE[0]}:80`;
    assert.deepEqual(open(await world.probe([target], listed)), [target]);
    for (const { id } of [web, far, plain]) await world.engine.remove(id);
    await world.engine.removeNetwork('other');
  });

  test('an internal one has no way out, not by its name server either', async () => {
    const { gateway } = await world.engine.createNetwork({ name: 'inner', internal: true });
    const web = await world.serve({ network: 'inner', hostname: 'web' });
    await world.seen();
    const name = `tcp:${web.address}:80`;
    const targets = [
      name,
      `tcp:${PUBLIC}:80`,
      `udp:${PUBLIC}:80`,
      ...world.nameservers.map((address) => `udp:${address}:53`),
      `tcp:${HOST.public}:8080`,
      `tcp:${gateway}:8080`,
    ];
    assert.deepEqual(open(await world.probe(targets, { network: 'inner' })), [name]);
    const [known = '', unknown = ''] = await lookUp('inner', 'web', 'example.com');
    assert.match(known, new RegExp(`Address: ${web.address}`));
    assert.match(unknown, /NXDOMAIN/);
    assert.deepEqual(await world.seen(), []);
    const forced = world.probeAs(web.pid, [`udp:${PUBLIC}:80`]);
    assert.ok(!forced.includes(' open'), forced);
    const ports = [{ hostAddress: '0.0.0.0', hostPort: 0, containerPort: 80, protocol: 'tcp' }];
    const more = { network: 'inner', ports: ports as PublishedPort[] };
    await assert.rejects(world.engine.start(world.spec(['sleep', '9'], more)), /is internal/);
    await world.engine.remove(web.id);
    await world.engine.removeNetwork('inner');
  });

  test('its name server knows ids, hostnames and aliases, both ways, in turn', async () => {
    const one = await world.serve({ network: 'app', hostname: 'one', aliases: ['svc'] });
    const two = await world.serve({
      network: 'app',
      hostname: 'two',
      aliases: ['svc', 'Db.Local'],
    });
    const asked = [
      'svc',
      'svc',
      one.id,
      'ONE',
      'db.local.',
      two.address,
      '-type=aaaa one',
      'none.',
    ];
    const [first = '', second = '', ...rest] = await lookUp('app', ...asked);
    const addresses = (text: string) =>
      [...text.matchAll(/Address: (\S+)/g)].map(([, address]) => address);
    assert.deepEqual(addresses(first).sort(), [one.address, two.address].sort());
    assert.deepEqual(addresses(first).reverse(), addresses(second));
    const [id = '', upper = '', alias = '', reverse = '', none = ''] = rest;
    assert.deepEqual(addresses(id), [one.address]);
    assert.deepEqual(addresses(upper), [one.address]);
    assert.deepEqual(addresses(alias), [two.address]);
    assert.match(reverse, /name = two/);
    assert.ok(!/can't find|Address: /.test(none), none);
    await world.engine.remove(two.id);
    const [left = ''] = await lookUp('app', 'svc');
    assert.deepEqual(addresses(left), [one.address]);
    const { ports: _, ...facts } = one;
    const [network] = await world.engine.networks();
    assert.deepEqual(network?.containers, [{ id: facts.id, name: 'one', address: facts.address }]);
    await world.engine.remove(one.id);
  });

  test('what it does not know it asks the host’s name servers', async (t) => {
    if (world.nameservers.length === 0) return t.skip('this host has no name server elsewhere');
    const [known = ''] = await lookUp('app', 'example.com');
    assert.match(known, /Address: 198\.51\.100\.53/);
  });

  test('a network in use is not removed, and a name or subnet is not given twice', async () => {
    const { engine } = world;
    const { id } = await engine.start(world.spec(['sleep', '60'], { network: 'app' }));
    const code = (wanted: string) => (error: { code?: string }) => error.code === wanted;
    await assert.rejects(engine.removeNetwork('app'), code('Conflict'));
    await assert.rejects(engine.createNetwork({ name: 'app' }), code('Conflict'));
    await assert.rejects(engine.createNetwork({ name: 'bridge' }), code('BadRequest'));
    await assert.rejects(engine.createNetwork({ name: 'x', subnet: '8.8.8.0/24' }), /must lie in/);
    await assert.rejects(
      engine.createNetwork({ name: 'x', subnet: '10.77.1.0/24' }),
      /overlaps 10\.77\.0\.0\/22/,
    );
    await assert.rejects(
      engine.createNetwork({ name: 'x', subnet: '10.40.0.0/24' }),
      /10\.40\.0\.0\/24, to which this host has a route/,
    );
    await engine.remove(id);
    await assert.rejects(engine.removeNetwork('x'), code('NotFound'));
    const missing = world.spec(['sleep', '60'], { network: 'missing' });
    await assert.rejects(engine.start(missing), /network "missing" does not exist/);
  });

  test('networks, names and containers outlive the engine', async () => {
    const web = await world.serve({ network: 'app', hostname: 'web', aliases: ['svc'] });
    await world.engine.createNetwork({ name: 'gone' });
    const bridges = () =>
      world.enter(world.hostNetns, ['ip', '-o', 'link']).match(/hn-\S+?(?=:)/g) ?? [];
    assert.equal(bridges().length, 2);
    await world.engine.crash();
    // What a crash between its steps leaves of a network: a bridge that no file knows
    const file = join(world.options.stateDir, 'networks', 'gone.json');
    assert.ok(existsSync(file));
    rmSync(file);
    const [adopted] = await world.restart();
    assert.deepEqual([adopted?.id, adopted?.address], [web.id, web.address]);
    assert.deepEqual(
      (await world.engine.networks()).map(({ name }) => name),
      ['app'],
    );
    assert.equal(bridges().length, 1);
    const [text = ''] = await lookUp('app', 'svc');
    assert.match(text, new RegExp(`Address: ${web.address}`));
    const target = `tcp:${web.address}:80`;
    assert.deepEqual(open(await world.probe([target], { network: 'app' })), [target]);
    assert.deepEqual(open(await world.probe([target])), []);
    await world.engine.remove(web.id);
  });

  test('a false source goes nowhere inside a network, too', async () => {
    const [one, two] = [
      await world.serve({ network: 'app', hostname: 'one' }),
      await world.serve({ network: 'app', hostname: 'two' }),
    ];
    const { gateway } = (await world.engine.networks())[0] ?? { gateway: '' };
    const neighbours = () => world.enter(`/proc/${two.pid}/ns/net`, ['ip', 'neighbour', 'show']);
    world.probeAs(two.pid, [`udp:${gateway}:53`, `tcp:${one.address}:80`]);
    const before = neighbours();
    assert.match(before, /lladdr/);
    world.probeAs(one.pid, ['arp', gateway]);
    world.probeAs(one.pid, ['arp', two.address]);
    assert.equal(
      neighbours()
        .match(/lladdr \S+/g)
        ?.join(),
      before.match(/lladdr \S+/g)?.join(),
    );
    for (const { id } of [one, two]) await world.engine.remove(id);
  });
});

describe('published ports', { skip }, () => {
  let world: NetWorld;
  before(async () => {
    world = await NetWorld.make({ subnet: '10.79.0.0/22' });
  });
  after(() => world?.close());

  const port = (protocol: 'tcp' | 'udp', hostPort: number, hostAddress = '0.0.0.0') =>
    ({ hostAddress, hostPort, containerPort: 80, protocol }) as const;
  /** What the server answers: whom it takes for its client. */
  const ask = (netns: string, address: string, number: number): string =>
    world.enter(netns, ['busybox', 'nc', '-w', '2', address, `${number}`]);

  test('lead in from outside with the client’s own address, and from the host by a relay', async () => {
    const web = await world.serve({ ports: [port('tcp', 0), port('udp', 8053)] });
    const [tcp, udp] = web.ports;
    assert.ok(tcp !== undefined && tcp.hostPort > 0 && udp?.hostPort === 8053);
    const targets = [`tcp:${HOST.public}:${tcp.hostPort}`, `udp:${HOST.public}:8053`];
    assert.deepEqual(open(world.probeOutside(targets)), targets);
    assert.equal(ask(world.outsideNetns, HOST.public, tcp.hostPort), PEER.public);
    const own = [HOST.loopback, HOST.public].flatMap((address) => [
      `tcp:${address}:${tcp.hostPort}`,
      `udp:${address}:8053`,
    ]);
    assert.deepEqual(open(world.probeHost(own)), own);
    assert.equal(ask(world.hostNetns, HOST.loopback, tcp.hostPort), '10.79.0.1');
    // Not a way to another container for those who may not
    assert.deepEqual(open(await world.probe([...targets, `tcp:${web.address}:80`])), []);
    // Nor for neighbours of the host, whatever they send it
    world.enter(world.outsideNetns, ['ip', 'route', 'add', '10.79.0.0/22', 'via', HOST.public]);
    const straight = [`tcp:${web.address}:80`, `udp:${web.address}:80`];
    assert.deepEqual(open(world.probeOutside(straight)), []);
    await world.engine.remove(web.id);
    assert.deepEqual(open(world.probeOutside(targets)), []);
    assert.deepEqual(open(world.probeHost(own)), []);
  });

  test('on loopback alone are not seen from outside', async () => {
    const { id } = await world.serve({ ports: [port('tcp', 8081, HOST.loopback)] });
    assert.deepEqual(open(world.probeOutside([`tcp:${HOST.public}:8081`])), []);
    const target = `tcp:${HOST.loopback}:8081`;
    assert.deepEqual(open(world.probeHost([target])), [target]);
    await world.engine.remove(id);
  });

  test('one that is in use is a conflict that names it, and nothing is left of the start', async () => {
    const start = (...ports: PublishedPort[]) =>
      world.engine.start(world.spec(['sleep', '60'], { ports }));
    const { id } = await start(port('tcp', 8082));
    await assert.rejects(start(port('tcp', 8083), port('tcp', 8082)), {
      code: 'Conflict',
      message: 'port 0.0.0.0:8082/tcp is in use',
    });
    await assert.rejects(start(port('tcp', 8084, '198.51.100.1')), /no address 198\.51\.100\.1/);
    await world.engine.remove(id);
    const next = await start(port('tcp', 8082), port('tcp', 8083));
    await world.engine.remove(next.id);
  });

  test('outlive the engine: from outside without it, from the host with the next one', async () => {
    await world.engine.createNetwork({ name: 'app' });
    const web = await world.serve({
      network: 'app',
      ports: [port('tcp', 8085), port('udp', 8085)],
    });
    const outside = [`tcp:${HOST.public}:8085`, `udp:${HOST.public}:8085`];
    const inside = [`tcp:${HOST.loopback}:8085`, `udp:${HOST.loopback}:8085`];
    await world.engine.crash();
    assert.deepEqual(open(world.probeOutside(outside)), outside);
    const [adopted] = await world.restart();
    assert.deepEqual(adopted?.ports, web.ports);
    assert.deepEqual(open(world.probeOutside(outside)), outside);
    assert.deepEqual(open(world.probeHost(inside)), inside);
    await world.engine.remove(web.id);
    assert.deepEqual(open(world.probeHost(inside)), []);
    await world.engine.removeNetwork('app');
  });
});
