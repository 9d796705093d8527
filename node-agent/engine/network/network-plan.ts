import type { ContainerSpec, PublishedPort } from '../container-spec.ts';
import type { ContainerState } from '../container-state.ts';
import { gatewayAddress, parseAddress, type Subnet, slotAddress, subnetAt } from './subnet.ts';

/** Smaller networks are not split. */
const SPLIT_PREFIX_MAX = 25;

/** Names of one engine's network parts; all within the kernel's 15 bytes for a link. */
export interface NetworkNames {
  bridge: string;
  /** Of the bridges of named networks; a number in base 36 follows. */
  namedPrefix: string;
  table: string;
  netnsPrefix: string;
  vethPrefix: string;
}

/** Names for an engine called `[a-z0-9]{1,8}`. */
export function networkNames(engine: string): NetworkNames {
  return {
    bridge: `hearth-${engine}`,
    namedPrefix: `hn-${engine}-`,
    table: `hearth_${engine}`,
    netnsPrefix: `hearth-${engine}-`,
    vethPrefix: `h${engine}-`,
  };
}

/**
 * `ip -batch` lines for a bridge that exists. Without a hardware address of its own it has the lowest
 * of its ports, and each time that one goes, containers call a gateway that is not there any more.
 */
export function bridgeCommands(bridge: string, subnet: Subnet): string[] {
  return [
    `link set dev ${bridge} address ${macOf(gatewayAddress(subnet))}`,
    `address replace ${gatewayAddress(subnet)}/${subnet.prefix} dev ${bridge}`,
    `link set dev ${bridge} up`,
  ];
}

/** A container's network: a namespace with one link to a bridge. */
export interface NetworkSlot {
  number: number;
  netns: string;
  veth: string;
  address: string;
  mac: string;
  /** Name of the network it was moved to; absent: the engine's own. */
  network?: string;
  /** The address of that network's name server. */
  gateway?: string;
  /** As they really are. */
  ports?: readonly PublishedPort[];
}

/** The parts of slot `number`, on the engine's own network. */
export function networkSlot(names: NetworkNames, subnet: Subnet, number: number): NetworkSlot {
  const address = slotAddress(subnet, number);
  return {
    number,
    netns: `${names.netnsPrefix}${number}`,
    veth: `${names.vethPrefix}${number}`,
    address,
    mac: macOf(address),
  };
}

/**
 * A link's hardware address follows from its IP address, so that what others remember of the
 * address is right for its next holder too. `02`: administered locally (IEEE 802).
 */
export function macOf(address: string): string {
  const bytes = (parseAddress(address) ?? 0).toString(16).padStart(8, '0');
  return `02:68:${bytes.match(/../g)?.join(':')}`;
}

/** `ip -batch` lines on the host: isolated ports do not hear each other. */
export function hostLinkCommands(names: NetworkNames, slot: NetworkSlot): string[] {
  const inside = `peer name eth0 address ${slot.mac} netns ${slot.netns}`;
  return [
    `link add ${slot.veth} type veth ${inside}`,
    `link set dev ${slot.veth} addrgenmode none`,
    `link set dev ${slot.veth} master ${names.bridge}`,
    `link set dev ${slot.veth} type bridge_slave isolated on`,
    `link set dev ${slot.veth} up`,
  ];
}

/**
 * `ip -batch` lines inside the slot's namespace. Nobody but the gateway is on its link: a neighbour
 * that is called takes a place in a table that the whole host has (`gc_thresh3` of arp(7), 1024).
 */
export function insideCommands(subnet: Subnet, slot: NetworkSlot): string[] {
  const gateway = gatewayAddress(subnet);
  return [
    'link set dev lo up',
    `address add ${slot.address}/32 dev eth0`,
    'link set dev eth0 up',
    `route add ${gateway}/32 dev eth0`,
    `route add default via ${gateway}`,
  ];
}

/** `ip -batch` lines on the host that move a slot to the bridge of a named network. */
export function moveCommands(bridge: string, slot: NetworkSlot): string[] {
  return [
    `link set dev ${slot.veth} master ${bridge}`,
    `link set dev ${slot.veth} type bridge_slave isolated off`,
  ];
}

/** `ip -batch` lines inside that give it its address there; an internal network has no way out. */
export function readdressCommands(
  slot: NetworkSlot,
  target: { subnet: Subnet; internal: boolean },
): string[] {
  const { subnet, internal } = target;
  return [
    'address flush dev eth0',
    `link set dev eth0 address ${slot.mac}`,
    `address add ${slot.address}/${subnet.prefix} dev eth0`,
    ...(internal ? [] : [`route add default via ${gatewayAddress(subnet)}`]),
  ];
}

/**
 * The engine's addresses in two halves: slots of its own network below, named networks above. A
 * small subnet is all slots, and its named networks bring their own.
 */
export function splitSubnet(subnet: Subnet): { slots: Subnet; named: Subnet | undefined } {
  if (subnet.prefix > SPLIT_PREFIX_MAX) return { slots: subnet, named: undefined };
  const prefix = subnet.prefix + 1;
  const half = 2 ** (32 - prefix);
  return { slots: subnetAt(subnet.base, prefix), named: subnetAt(subnet.base + half, prefix) };
}

/** What a later process of the engine must know of a container's slot. */
export function networkState(
  slot: NetworkSlot | undefined,
): Pick<ContainerState, 'networkSlot' | 'networkAddress' | 'ports'> {
  if (slot === undefined) return {};
  return {
    networkSlot: slot.number,
    ...(slot.network === undefined ? {} : { networkAddress: slot.address }),
    ...(slot.ports === undefined ? {} : { ports: slot.ports }),
  };
}

/** The spec with the name server of its network, which is at the gateway and knows all names. */
export function withNameServer(spec: ContainerSpec, slot: NetworkSlot | undefined): ContainerSpec {
  if (slot?.gateway === undefined) return spec;
  const files = { ...spec.files, '/etc/resolv.conf': `nameserver ${slot.gateway}\n` };
  return { ...spec, files };
}
