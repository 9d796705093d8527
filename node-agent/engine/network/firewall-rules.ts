import { type Element, elementLines } from './firewall-elements.ts';
import { METADATA_NETWORKS } from './network-check.ts';
import type { NetworkNames } from './network-plan.ts';
import { covers, gatewayAddress, type Subnet, widestNetworks } from './subnet.ts';

/** A bridge and what is behind it. */
export interface BridgePlan {
  bridge: string;
  subnet: Subnet;
  /** Set for a named network: its containers reach each other and its name server. */
  named?: { internal: boolean };
}

/** What of the world a firewall is made from. */
export interface FirewallFacts {
  /** All addresses of the engine's own. */
  subnet: Subnet;
  bridges: readonly BridgePlan[];
  /** Name servers outside this host, and those that are addresses of this host. */
  resolvers: readonly string[];
  hostResolvers: readonly string[];
  /** Networks that containers may reach although they are private: CIDR. */
  allowed: readonly string[];
  /** Users of this host that may connect to containers beside root; absent: all. */
  reachableByUids?: readonly number[];
  /** Of containers that live already. */
  elements: readonly Element[];
  /** What needs more of the kernel than the rest; absent: it lacks it. */
  rates?: {
    /** Connections of one container at once. */
    connectionsMax: number;
    /** Packets of one container to port 53. */
    dnsPerSecond: number;
  };
}

/** Not the public internet: RFC 6890, and what clouds use for themselves. */
const PRIVATE_NETWORKS = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '224.0.0.0/3',
];
const TRANSPORT = 'meta l4proto { tcp, udp }';

/**
 * The firewall as `nft -f -` reads it, replacing an earlier one in the same transaction. Containers
 * reach name servers and the public internet; not this host, not each other, not private networks.
 *
 * What a container sends by itself is judged packet by packet, never by the connection that the
 * kernel remembers: an address may have been another container's, and so may the connection.
 */
export function firewallRules(names: NetworkNames, facts: FirewallFacts): string {
  const { table } = names;
  const lines = [
    ...[`table inet ${table} {}`, `delete table inet ${table}`],
    ...[`table bridge ${table} {}`, `delete table bridge ${table}`],
    `table inet ${table} {`,
    ...setsOf(facts),
    ...natChains(),
    ...inputChain(facts),
    ...forwardChains(facts),
    ...outputChain(facts),
    '}',
    ...sourceTable(names),
    ...elementLines('add', table, [
      ...facts.bridges.flatMap((plan) => bridgeElements(plan, facts.subnet)),
      ...facts.elements,
    ]),
  ];
  return `${lines.join('\n')}\n`;
}

/** What the sets hold of one bridge, of an engine whose own addresses are `own`. */
export function bridgeElements({ bridge, subnet, named }: BridgePlan, own: Subnet): Element[] {
  const inet = (set: string, key: string): Element => ({ family: 'inet', set, key });
  const link = `"${bridge}"`;
  const elements = [inet('bridges', link)];
  if (named === undefined) return [...elements, inet('subnets', subnet.text)];
  // Intervals of a set may not overlap
  if (!covers(own, subnet)) elements.push(inet('subnets', subnet.text));
  elements.push(inet('within', `${link} . ${link}`));
  elements.push(inet('nameservers', `${link} . ${gatewayAddress(subnet)}`));
  if (named.internal) elements.push(inet('internal', link));
  return elements;
}

function setsOf({ rates }: FirewallFacts): string[] {
  return [
    'set bridges { type ifname; }',
    'set internal { type ifname; }',
    'set within { type ifname . ifname; }',
    'set nameservers { type ifname . ipv4_addr; }',
    'set subnets { type ipv4_addr; flags interval; }',
    'set egress { type ipv4_addr . ipv4_addr; flags interval; }',
    'set egress_ports { type ipv4_addr . ipv4_addr . inet_service; flags interval; }',
    'set published { type inet_proto . ipv4_addr . inet_service; }',
    'map ports { type inet_proto . ipv4_addr . inet_service : ipv4_addr . inet_service; }',
    'map ports_any { type inet_proto . inet_service : ipv4_addr . inet_service; }',
    ...(rates === undefined
      ? []
      : [
          'set connections { type ipv4_addr; size 65535; flags dynamic; }',
          'set questions { type ipv4_addr; size 65535; flags dynamic,timeout; timeout 10s; }',
        ]),
  ];
}

/**
 * The kernel's table of connections is the whole host's: full, nobody's new connection passes. One
 * container could fill it within seconds.
 */
function connectionRules({ rates }: FirewallFacts): string[] {
  if (rates === undefined) return [];
  const over = `ct count over ${rates.connectionsMax}`;
  return [`ct state new add @connections { ip saddr ${over} } drop`];
}

/** Name servers are others' machines. */
function questionRules({ rates }: FirewallFacts): string[] {
  if (rates === undefined) return [];
  const burst = 2 * rates.dnsPerSecond;
  const over = `limit rate over ${rates.dnsPerSecond}/second burst ${burst} packets`;
  return [`${TRANSPORT} th dport 53 add @questions { ip saddr ${over} } drop`];
}

/** Published ports lead in by the target's address alone, so that a container sees its real client. */
function natChains(): string[] {
  const outside = 'iifname != @bridges';
  return [
    'chain prerouting {',
    'type nat hook prerouting priority dstnat; policy accept;',
    `${outside} dnat ip to meta l4proto . ip daddr . th dport map @ports`,
    `${outside} fib daddr type local dnat ip to meta l4proto . th dport map @ports_any`,
    '}',
    'chain postrouting {',
    'type nat hook postrouting priority srcnat; policy accept;',
    'ip saddr @subnets oifname != @bridges masquerade',
    '}',
  ];
}

/** From containers to this host: answers, and questions to name servers. */
function inputChain(facts: FirewallFacts): string[] {
  return [
    'chain input {',
    'type filter hook input priority -10; policy accept;',
    'iifname != @bridges accept',
    'ct state related accept',
    'ct state established ct direction reply accept',
    ...connectionRules(facts),
    ...questionRules(facts),
    `iifname . ip daddr @nameservers ${TRANSPORT} th dport 53 accept`,
    'iifname @internal drop',
    ...acceptDns(facts.hostResolvers),
    'drop',
    '}',
  ];
}

function forwardChains(facts: FirewallFacts): string[] {
  const allowed = widestNetworks(facts.allowed).map(({ text }) => text);
  const port = 'meta l4proto . ip daddr . th dport @published';
  return [
    'chain forward {',
    'type filter hook forward priority -10; policy accept;',
    'iifname @bridges jump egress',
    'oifname @bridges ct state related accept',
    'oifname @bridges ct state established ct direction reply accept',
    `oifname @bridges ct status dnat ${port} accept`,
    'oifname @bridges drop',
    '}',
    'chain egress {',
    // Seen here only where br_netfilter shows the packets inside a bridge, and then they are connections
    ...connectionRules(facts),
    'iifname . oifname @within accept',
    'meta nfproto ipv6 drop',
    'ct state related accept',
    'ct state established ct direction reply meta l4proto . ip saddr . th sport @published accept',
    'oifname "hearth-*" drop',
    'oifname "hn-*" drop',
    'iifname @internal drop',
    ...questionRules(facts),
    ...acceptDns(facts.resolvers),
    `ip daddr { ${METADATA_NETWORKS.join(', ')} } drop`,
    ...(allowed.length === 0 ? [] : [`ip daddr { ${allowed.join(', ')} } accept`]),
    'ip saddr . ip daddr @egress accept',
    `${TRANSPORT} ip saddr . ip daddr . th dport @egress_ports accept`,
    `ip daddr { ${PRIVATE_NETWORKS.join(', ')} } drop`,
    'accept',
    '}',
  ];
}

/** From this host to containers. What the kernel sends for nobody has no user, and passes. */
function outputChain({ reachableByUids }: FirewallFacts): string[] {
  if (reachableByUids === undefined) return [];
  const users = [...new Set([0, ...reachableByUids])].join(', ');
  return [
    'chain output {',
    'type filter hook output priority -10; policy accept;',
    'oifname @bridges ct state established ct direction reply accept',
    `oifname @bridges meta skuid != { ${users} } drop`,
    '}',
  ];
}

function acceptDns(resolvers: readonly string[]): string[] {
  if (resolvers.length === 0) return [];
  const to = `ip daddr { ${resolvers.join(', ')} }`;
  return ['udp', 'tcp'].map((protocol) => `${to} ${protocol} dport 53 accept`);
}

/**
 * A link carries what comes from its own addresses, IPv4 and ARP, and nothing else: no IPv6, no
 * VLAN. Before the bridge learns from it, and before anything above believes it.
 */
function sourceTable({ table, vethPrefix }: NetworkNames): string[] {
  return [
    `table bridge ${table} {`,
    'set sources { type ifname . ether_addr . ipv4_addr; }',
    'chain prerouting {',
    'type filter hook prerouting priority -300; policy accept;',
    `iifname "${vethPrefix}*" jump check`,
    '}',
    'chain check {',
    'ether type ip iifname . ether saddr . ip saddr @sources accept',
    'ether type arp iifname . ether saddr . arp saddr ip @sources ' +
      'iifname . arp saddr ether . arp saddr ip @sources accept',
    'drop',
    '}',
    '}',
  ];
}
