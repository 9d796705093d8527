import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ContainerSpec, EgressRule } from '../container-spec.ts';
import { makeSpec } from '../testing/engine-world.ts';
import { egressElements, elementLines, portElements } from './firewall-elements.ts';
import { type FirewallFacts, firewallRules } from './firewall-rules.ts';
import { freeSubnet, parseRoutes, subnetFault, subnetOwner } from './free-subnet.ts';
import { egressFault, networkFault, networkNameFault } from './network-check.ts';
import {
  hostLinkCommands,
  macOf,
  networkNames,
  networkSlot,
  splitSubnet,
  withNameServer,
} from './network-plan.ts';
import { covers, overlaps, parseAddress, parseCidr, parseSubnet, type Subnet } from './subnet.ts';

const OWN = parseSubnet('10.9.0.0/16');

function facts(more: Partial<FirewallFacts> = {}): FirewallFacts {
  return {
    subnet: OWN,
    bridges: [{ bridge: 'hearth-a', subnet: OWN }],
    resolvers: ['10.1.1.1'],
    hostResolvers: [],
    allowed: ['10.7.0.0/16'],
    elements: [],
    ...more,
  };
}

function linesOf(more: Partial<FirewallFacts> = {}): string[] {
  return firewallRules(networkNames('a'), facts(more)).split('\n');
}

function chain(lines: readonly string[], name: string): string[] {
  const begin = lines.indexOf(`chain ${name} {`);
  assert.ok(begin >= 0, name);
  return lines.slice(begin + 1, lines.indexOf('}', begin));
}

function network(text: string): Subnet {
  const subnet = parseCidr(text);
  assert.ok(subnet !== undefined, text);
  return subnet;
}

test('the firewall is loaded in one transaction and refuses by default', () => {
  const lines = linesOf();
  assert.deepEqual(lines.slice(0, 4), [
    'table inet hearth_a {}',
    'delete table inet hearth_a',
    'table bridge hearth_a {}',
    'delete table bridge hearth_a',
  ]);
  assert.equal(chain(lines, 'input').at(-1), 'drop');
  assert.equal(chain(lines, 'check').at(-1), 'drop');
  assert.equal(chain(lines, 'forward').at(-1), 'oifname @bridges drop');
  const egress = chain(lines, 'egress');
  const order = [
    'ipv6 drop',
    'oifname "hearth-*" drop',
    'oifname "hn-*" drop',
    'iifname @internal drop',
    '10.1.1.1',
    'ip daddr { 169.254.0.0/16',
    '10.7.0.0/16',
    '@egress accept',
    '@egress_ports accept',
    '10.0.0.0/8',
  ].map((text) => egress.findIndex((line) => line.includes(text)));
  assert.ok(!order.includes(-1));
  assert.deepEqual(
    order,
    [...order].sort((a, b) => a - b),
  );
});

test('what a container sends first is never accepted for a connection that is remembered', () => {
  const lines = linesOf({ reachableByUids: [7], bridges: facts().bridges });
  for (const name of ['input', 'forward', 'egress', 'output']) {
    for (const line of chain(lines, name)) {
      if (line.includes('established')) assert.match(line, /ct direction reply/, line);
    }
  }
});

test('a container’s new connections are counted before any of them is accepted', () => {
  const rates = { connectionsMax: 7, dnsPerSecond: 5 };
  const lines = linesOf({ rates, hostResolvers: ['10.2.2.2'] });
  for (const name of ['input', 'egress']) {
    const rules = chain(lines, name);
    const counted = rules.findIndex((line) => line.includes('ct count over 7 } drop'));
    const asked = rules.findIndex((line) => line.includes('limit rate over 5/second'));
    const accepted = rules.findIndex((line) => line.includes('dport 53 accept'));
    assert.ok(counted >= 0 && counted < accepted && asked < accepted, name);
    // Where br_netfilter is on, those inside of a named network are the kernel's, too
    const within = rules.findIndex((line) => line.includes('@within accept'));
    assert.ok(within === -1 || counted < within, name);
  }
  assert.ok(!linesOf().some((line) => line.includes('ct count')));
});

test('networks that all may reach are cut to what nft takes: none overlaps another', () => {
  const lines = linesOf({ allowed: ['10.1.2.3/16', '10.0.0.0/8', '172.16.9.9/12'] });
  assert.ok(lines.includes('ip daddr { 10.0.0.0/8, 172.16.0.0/12 } accept'));
});

test('who may connect to containers is in the rules only if it is said', () => {
  assert.ok(!linesOf().includes('chain output {'));
  const output = chain(linesOf({ reachableByUids: [65_523, 0] }), 'output');
  assert.equal(output.at(-1), 'oifname @bridges meta skuid != { 0, 65523 } drop');
});

test('links, bridges and namespaces have names that fit, and hardware addresses of their own', () => {
  const names = networkNames('abcdefgh');
  assert.ok(names.bridge.length <= 15 && `${names.namedPrefix}zzz`.length <= 15);
  const slot = networkSlot(names, OWN, 65_000);
  assert.ok(slot.veth.length <= 15);
  assert.ok(hostLinkCommands(names, slot).some((line) => line.endsWith('isolated on')));
  assert.equal(macOf('10.9.0.255'), '02:68:0a:09:00:ff');
  // Locally administered, and no group address
  assert.equal(Number.parseInt(slot.mac.slice(0, 2), 16) & 3, 2);
});

test('addresses and networks are read strictly', () => {
  for (const wrong of [
    '1.2.3',
    '1.2.3.4.5',
    '1.2.3.256',
    '01.2.3.4',
    '1.2.3.4 ',
    '',
    '1e1.0.0.0',
  ]) {
    assert.equal(parseAddress(wrong), undefined, wrong);
    assert.equal(parseCidr(wrong), undefined, wrong);
  }
  for (const wrong of ['10.0.0.0/33', '10.0.0.0/', '10.0.0.0/08', '10.0.0.0/8/8', '::/0']) {
    assert.equal(parseCidr(wrong), undefined, wrong);
  }
  assert.equal(network('10.1.2.3').text, '10.1.2.3/32');
  assert.equal(network('10.1.2.3/8').text, '10.0.0.0/8');
  assert.equal(network('255.255.255.255/0').text, '0.0.0.0/0');
});

test('the engine’s addresses are halved, small ones are not', () => {
  const { slots, named } = splitSubnet(parseSubnet('10.62.0.0/17'));
  assert.deepEqual([slots.text, named?.text], ['10.62.0.0/18', '10.62.64.0/18']);
  assert.equal(splitSubnet(parseSubnet('10.62.0.0/26')).named, undefined);
});

test('allowed networks never overlap, and together allow what the rules say', () => {
  const byte = fc.integer({ min: 0, max: 3 });
  const rule = fc.record(
    {
      cidr: fc
        .tuple(byte, byte, fc.integer({ min: 6, max: 32 }))
        .map(([a, b, length]) => `10.${a * 64}.${b * 64}.0/${length}`),
      port: fc.constantFrom(80, 443),
    },
    { requiredKeys: ['cidr'] },
  );
  fc.assert(
    fc.property(fc.array(rule, { maxLength: 8 }), (rules: EgressRule[]) => {
      const elements = egressElements('10.9.0.2', rules).map(({ set, key }) => {
        const [, cidr = '', port] = key.split(' . ');
        return { set, cidr: network(cidr), port };
      });
      for (const [n, one] of elements.entries()) {
        for (const other of elements.slice(n + 1)) {
          const isSame = one.set === other.set && one.port === other.port;
          assert.ok(!isSame || !overlaps(one.cidr, other.cidr));
        }
      }
      for (const { cidr, port } of rules) {
        const wanted = port === undefined ? undefined : `${port}`;
        const holder = elements.find((e) => e.port === wanted && covers(e.cidr, network(cidr)));
        assert.ok(holder !== undefined, cidr);
      }
      for (const { cidr, port } of elements) {
        const source = rules.find(
          (r) => network(r.cidr).text === cidr.text && (r.port?.toString() ?? undefined) === port,
        );
        assert.ok(source !== undefined, cidr.text);
      }
    }),
  );
});

test('a published port leads in by the firewall, but for loopback', () => {
  const port = { containerPort: 80, protocol: 'tcp' } as const;
  const elements = portElements('10.9.0.2', [
    { ...port, hostAddress: '0.0.0.0', hostPort: 8080 },
    { ...port, hostAddress: '127.0.0.1', hostPort: 8081 },
    { ...port, hostAddress: '192.0.2.2', hostPort: 8082 },
  ]);
  assert.deepEqual(elementLines('add', 't', elements), [
    'add element inet t ports_any { tcp . 8080 : 10.9.0.2 . 80 }',
    'add element inet t ports { tcp . 192.0.2.2 . 8082 : 10.9.0.2 . 80 }',
    'add element inet t published { tcp . 10.9.0.2 . 80 }',
  ]);
  assert.ok(!elementLines('delete', 't', elements).join().includes(' : '));
});

test('NET: what may never be allow-listed is refused by name', () => {
  const own = { subnets: [OWN], addresses: ['192.0.2.2', '10.40.0.1'] };
  const cases: [string, RegExp][] = [
    ['169.254.169.254', /cloud metadata/],
    ['169.254.0.0/16', /cloud metadata/],
    ['168.63.129.16/32', /cloud metadata/],
    ['100.64.0.0/10', /100\.100\.100\.200.*cloud metadata/],
    ['0.0.0.0/0', /cloud metadata/],
    ['fd00:ec2::254', /IPv6/],
    ['fd00::/8', /IPv6/],
    ['127.0.0.1', /127\.0\.0\.0\/8, which leads nowhere/],
    ['224.0.0.0/4', /leads nowhere/],
    ['192.0.2.2', /this host/],
    ['10.40.0.1/32', /this host/],
    ['10.9.3.0/24', /10\.9\.0\.0\/16, addresses of containers/],
    ['2130706433', /no network/],
    ['127.1', /no network/],
    ['0x7f.1', /no network/],
    ['10.0.0.0/33', /no network/],
    ['example.com', /no network/],
  ];
  for (const [cidr, pattern] of cases) {
    assert.match(egressFault([{ cidr }], own) ?? 'allowed', pattern, cidr);
  }
  assert.equal(egressFault([{ cidr: '10.0.0.0/8', port: 443 }], own), undefined);
  assert.match(egressFault([{ cidr: '10.1.0.0/16', port: 70_000 }]) ?? '', /1–65535.*70000/);
  assert.match(egressFault(new Array(65).fill({ cidr: '10.1.0.1' })) ?? '', /<= 64: found 65/);
});

test('what a spec says of networks is checked', () => {
  const fault = (more: Partial<ContainerSpec>) => networkFault(makeSpec('/l', ['run'], more)) ?? '';
  const port = {
    hostAddress: '0.0.0.0',
    hostPort: 80,
    containerPort: 80,
    protocol: 'tcp',
  } as const;
  assert.match(fault({ network: '../x' }), /network must match/);
  assert.match(fault({ network: 'bridge', aliases: ['a'] }), /aliases need a named network/);
  assert.match(fault({ egress: [{ cidr: '10.1.0.0/16' }] }), /egress needs a network/);
  assert.match(fault({ ports: [port] }), /ports need a network/);
  assert.match(fault({ network: 'n', aliases: ['a b'] }), /no DNS name: "a b"/);
  assert.match(fault({ network: 'n', aliases: [`${'a'.repeat(64)}`] }), /no DNS name/);
  assert.match(fault({ network: 'n', ports: [port, port] }), /twice/);
  assert.match(fault({ network: 'n', ports: [{ ...port, hostAddress: '::' }] }), /IPv4/);
  assert.match(fault({ network: 'n', ports: [{ ...port, containerPort: 0 }] }), /1–65535/);
  assert.equal(fault({ network: 'n', aliases: ['db_1', 'db.local'], ports: [port] }), '');
  assert.match(networkNameFault('bridge') ?? '', /meaning of its own/);
  assert.match(networkNameFault('A') ?? '', /must match/);
});

test('a subnet for a network is free, private and of a fitting size', () => {
  const pool = parseSubnet('10.62.64.0/18');
  const first = freeSubnet(pool, []);
  assert.equal(first?.text, '10.62.64.0/24');
  assert.equal(freeSubnet(pool, first === undefined ? [] : [first])?.text, '10.62.65.0/24');
  assert.equal(freeSubnet(pool, [pool]), undefined);
  assert.equal(freeSubnet(parseSubnet('10.1.1.128/25'), [])?.prefix, 27);
  assert.match(subnetFault('8.8.8.0/24') ?? '', /must lie in/);
  assert.match(subnetFault('10.0.0.0/8') ?? '', /16–28.*is 8/);
  assert.match(subnetFault('10.0.0.0') ?? '', /must be like/);
  assert.equal(subnetFault('172.20.0.0/24'), undefined);
  const taken = { engine: [{ subnet: OWN, owner: 'x' }], routes: [network('192.168.7.0/24')] };
  assert.equal(subnetOwner(network('10.9.4.0/24'), taken), '10.9.0.0/16 of x');
  assert.match(subnetOwner(network('192.168.0.0/16'), taken) ?? '', /has a route/);
  assert.equal(subnetOwner(network('172.20.0.0/24'), taken), undefined);
});

test('routes of the host are read from the kernel’s table', () => {
  const text =
    'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\n' +
    'eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n' +
    'eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n' +
    'br0\t0000FF0A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n';
  const found = parseRoutes(text).map((subnet) => subnet.text);
  assert.deepEqual(found, ['192.0.2.0/24', '10.255.0.0/16']);
});

test('a container of a named network asks that network’s name server', () => {
  const spec = makeSpec('/l', ['run'], { files: { '/etc/resolv.conf': 'x', '/etc/hosts': 'y' } });
  const slot = networkSlot(networkNames('a'), OWN, 3);
  assert.equal(withNameServer(spec, slot), spec);
  const moved = withNameServer(spec, { ...slot, network: 'n', gateway: '10.9.128.1' });
  assert.deepEqual(moved.files, {
    '/etc/resolv.conf': 'nameserver 10.9.128.1\n',
    '/etc/hosts': 'y',
  });
});
