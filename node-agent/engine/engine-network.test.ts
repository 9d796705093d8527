import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { after, before, describe, test } from 'node:test';
import type { Container } from './engine-types.ts';
import { macOf } from './network/network-plan.ts';
import { gatewayAddress, parseSubnet } from './network/subnet.ts';
import { missingForContainers } from './testing/busybox-layer.ts';
import { type EngineWorld, ended, makeEngineWorld, says } from './testing/engine-world.ts';

const skip = missingForContainers() ?? false;

describe('network', { skip }, () => {
  let world: EngineWorld;
  before(async () => {
    world = await makeEngineWorld();
  });
  after(() => world.close());

  const serve = async (): Promise<Container> => {
    const script = 'echo up; while :; do echo hello | nc -l -p 80; done';
    const container = await world.engine.start(
      world.spec(['/bin/sh', '-c', script], {
        network: 'bridge',
        user: { uid: 9, gid: 9, groups: [] },
      }),
    );
    await says(container, /up/);
    return container;
  };
  const reach = (host: string, port: number) =>
    world.run(['/bin/sh', '-c', `nc -w 2 ${host} ${port} </dev/null || echo unreachable`], {
      network: 'bridge',
    });

  test('the host reaches a program at its address, on a low port, as an ordinary user', async () => {
    const container = await serve();
    const text = await retry(() => readAll(container.address ?? '', 80));
    assert.equal(text, 'hello\n');
    await container.remove();
  });

  test('NET: a container reaches neither the host nor another container', async (t) => {
    const server = createServer((socket) => socket.end('host'));
    await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve));
    t.after(() => server.close());
    const { port } = server.address() as AddressInfo;
    const other = await serve();
    const bridge = gatewayAddress(parseSubnet(world.options.subnet));
    assert.equal(await readAll(bridge, port), 'host');
    assert.equal((await reach(bridge, port)).stdout, 'unreachable\n');
    assert.equal((await reach(other.address ?? '', 80)).stdout, 'unreachable\n');
    assert.equal((await reach('169.254.169.254', 80)).stdout, 'unreachable\n');
    await other.remove();
  });

  test('NET: only IPv4 is there, with loopback and one link', async () => {
    const { stdout } = await world.run(['/bin/sh', '-c', 'ip -o address; ip route'], {
      network: 'bridge',
    });
    assert.match(stdout, /eth0/);
    assert.match(stdout, /127\.0\.0\.1/);
    assert.match(stdout, /default via/);
    assert.ok(!stdout.includes('inet6'), stdout);
  });

  test('a container that calls addresses of its network fills no table of the whole host’s', async () => {
    const start = world.options.subnet.split('.').slice(0, 3).join('.');
    const script =
      `for n in $(seq 200 220); do nc -w 1 ${start}.$n 9 </dev/null 2>/dev/null & done; sleep 0.5; ` +
      'cat /proc/net/arp; wait';
    const { stdout } = await world.run(['/bin/sh', '-c', script], { network: 'bridge' });
    const bridge = gatewayAddress(parseSubnet(world.options.subnet));
    const known = stdout.split('\n').filter((line) => line.includes('eth0'));
    assert.deepEqual(
      known.map((line) => line.split(' ', 1)[0]).filter((address) => address !== bridge),
      [],
    );
  });

  test('the gateway stays who it is, whatever containers come and go', async () => {
    const { name, subnet } = world.options;
    const gateway = gatewayAddress(parseSubnet(subnet));
    const addressNow = () => readFileSync(`/sys/class/net/hearth-${name}/address`, 'utf8').trim();
    assert.equal(addressNow(), macOf(gateway));
    await world.run(['true'], { network: 'bridge' });
    assert.equal(addressNow(), macOf(gateway));
  });

  test('without a network there is loopback, and low ports are free', async () => {
    // The listener's input never ends, so that it reads until its caller has said everything
    const script =
      'tail -f /dev/null | nc -l -p 80 >/got & ' +
      'until [ -s /got ]; do echo x | nc 127.0.0.1 80; sleep 0.05; done; cat /got; ip -o address';
    const ran = await ended(await world.engine.start(world.spec(['/bin/sh', '-c', script])));
    assert.match(ran.stdout, /^x\n/);
    assert.ok(!ran.stdout.includes('eth0'));
  });

  test('slots are made on demand beyond those kept ready, each with its own address', async () => {
    const all = await Promise.all(
      [1, 2, 3, 4].map(() =>
        world.engine.start(world.spec(['sleep', '60'], { network: 'bridge' })),
      ),
    );
    assert.equal(new Set(all.map(({ address }) => address)).size, 4);
    await Promise.all(all.map((container) => container.remove()));
  });
});

function readAll(host: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect({ host, port, timeout: 3000 });
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    socket.on('end', () => resolve(text)).on('error', reject);
    socket.on('timeout', () => socket.destroy(new Error('timeout')));
  });
}

async function retry<T>(act: () => Promise<T>, tries = 20): Promise<T> {
  for (let n = 1; ; n++) {
    try {
      return await act();
    } catch (error) {
      if (n >= tries) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
