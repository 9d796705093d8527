import { gatewayAddress, type Subnet, slotAddress } from './subnet.ts';

/** Names of one engine's network parts; all within the kernel's 15 bytes for a link. */
export interface NetworkNames {
  bridge: string;
  table: string;
  netnsPrefix: string;
  vethPrefix: string;
}

/** Names for an engine called `[a-z0-9]{1,8}`. */
export function networkNames(engine: string): NetworkNames {
  return {
    bridge: `hearth-${engine}`,
    table: `hearth_${engine}`,
    netnsPrefix: `hearth-${engine}-`,
    vethPrefix: `h${engine}-`,
  };
}

/** What of the world a firewall is made from. */
export interface FirewallFacts {
  subnet: Subnet;
  /** Name servers outside this host, and those that are addresses of this host. */
  resolvers: readonly string[];
  hostResolvers: readonly string[];
  /** Networks that containers may reach although they are private: CIDR. */
  allowed: readonly string[];
  /** Connections of one container at once; absent: the kernel cannot count them. */
  connectionsMax?: number;
}

/** Not the public internet: RFC 6890; cloud metadata at 169.254.169.254 and 168.63.129.16. */
const PRIVATE_NETWORKS = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  // Azure's host agent, which gives out credentials of the machine
  '168.63.129.16/32',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '224.0.0.0/3',
];

/**
 * The firewall as `nft -f -` reads it, replacing an earlier one in the same transaction. Containers
 * reach name servers and the public internet; not this host, not each other, not private networks.
 */
export function firewallRules(names: NetworkNames, facts: FirewallFacts): string {
  const from = `iifname "${names.bridge}"`;
  const to = `oifname "${names.bridge}"`;
  const limit = connectionLimit(facts.connectionsMax);
  const lines = [
    `table inet ${names.table} {}`,
    `delete table inet ${names.table}`,
    `table inet ${names.table} {`,
    ...limit.set,
    'chain input {',
    'type filter hook input priority -10; policy accept;',
    `${from} ct state established,related accept`,
    ...limit.rule.map((rule) => `${from} ${rule}`),
    ...acceptDns(facts.hostResolvers, `${from} `),
    `${from} drop`,
    '}',
    'chain forward {',
    'type filter hook forward priority -10; policy accept;',
    `${from} jump egress`,
    `${to} ct state established,related accept`,
    `${to} drop`,
    '}',
    'chain egress {',
    'ct state established,related accept',
    'oifname "hearth-*" drop',
    'meta nfproto ipv6 drop',
    ...limit.rule,
    ...acceptDns(facts.resolvers, ''),
    ...(facts.allowed.length === 0 ? [] : [`ip daddr { ${facts.allowed.join(', ')} } accept`]),
    `ip daddr { ${PRIVATE_NETWORKS.join(', ')} } drop`,
    'accept',
    '}',
    'chain postrouting {',
    'type nat hook postrouting priority srcnat; policy accept;',
    `ip saddr ${facts.subnet.text} oifname != "${names.bridge}" masquerade`,
    '}',
    '}',
  ];
  return `${lines.join('\n')}\n`;
}

/**
 * The kernel's table of connections is the whole host's: full, nobody's new connection passes. One
 * container could fill it within seconds.
 */
function connectionLimit(max: number | undefined): { set: string[]; rule: string[] } {
  if (max === undefined) return { set: [], rule: [] };
  const type = 'type ipv4_addr; size 65535; flags dynamic;';
  return {
    set: [`set connections { ${type} }`],
    rule: [`ct state new add @connections { ip saddr ct count over ${max} } drop`],
  };
}

function acceptDns(resolvers: readonly string[], match: string): string[] {
  if (resolvers.length === 0) return [];
  const to = `ip daddr { ${resolvers.join(', ')} }`;
  return ['udp', 'tcp'].map((protocol) => `${match}${to} ${protocol} dport 53 accept`);
}

/** `ip -batch` lines for the bridge. */
export function bridgeCommands(names: NetworkNames, subnet: Subnet): string[] {
  return [
    `address replace ${gatewayAddress(subnet)}/${subnet.prefix} dev ${names.bridge}`,
    `link set dev ${names.bridge} up`,
  ];
}

/** A container's network: a namespace with one link to the bridge. */
export interface NetworkSlot {
  number: number;
  netns: string;
  veth: string;
  address: string;
}

/** The parts of slot `number`. */
export function networkSlot(names: NetworkNames, subnet: Subnet, number: number): NetworkSlot {
  return {
    number,
    netns: `${names.netnsPrefix}${number}`,
    veth: `${names.vethPrefix}${number}`,
    address: slotAddress(subnet, number),
  };
}

/** `ip -batch` lines on the host: isolated ports do not hear each other. */
export function hostLinkCommands(names: NetworkNames, slot: NetworkSlot): string[] {
  return [
    `link add ${slot.veth} type veth peer name eth0 netns ${slot.netns}`,
    `link set dev ${slot.veth} addrgenmode none`,
    `link set dev ${slot.veth} master ${names.bridge}`,
    `link set dev ${slot.veth} type bridge_slave isolated on`,
    `link set dev ${slot.veth} up`,
  ];
}

/** `ip -batch` lines inside the slot's namespace. */
export function insideCommands(subnet: Subnet, slot: NetworkSlot): string[] {
  return [
    'link set dev lo up',
    `address add ${slot.address}/${subnet.prefix} dev eth0`,
    'link set dev eth0 up',
    `route add default via ${gatewayAddress(subnet)}`,
  ];
}
