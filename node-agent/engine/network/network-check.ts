import { LIMITS } from '../../../lib/limits.ts';
import type { ContainerSpec, EgressRule, PublishedPort } from '../container-spec.ts';
import { covers, overlaps, parseAddress, parseCidr, type Subnet } from './subnet.ts';

const NETWORK_NAME = /^[a-z0-9][a-z0-9-]{0,62}$/;
/** RFC 1123 2.1, and the underscore that Docker's users write. */
const DNS_NAME =
  /^(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*$/;
const PORT_MAX = 65_535;

/**
 * Where clouds give out the credentials of the machine: all link-local (AWS, Google, Oracle), Azure's
 * host agent, Alibaba's, and Oracle's second. Nobody can be allowed to reach them.
 */
export const METADATA_NETWORKS = [
  '169.254.0.0/16',
  '168.63.129.16/32',
  '100.100.100.200/32',
  '192.0.0.192/32',
] as const;

/** Addresses that no packet of a container can have as its target: this host, loopback, groups. */
const NOWHERE = ['0.0.0.0/8', '127.0.0.0/8', '224.0.0.0/3'] as const;

/** What of this machine may not be allow-listed. */
export interface OwnPlaces {
  /** Of all networks of the engine. */
  subnets: readonly Subnet[];
  /** Of this host. */
  addresses: readonly string[];
}

/** Fault of what a spec says of networks, as a sentence; undefined if there is none. */
export function networkFault(spec: ContainerSpec): string | undefined {
  const { network, aliases = [], egress = [], ports = [] } = spec;
  if (!NETWORK_NAME.test(network)) return `network must match ${NETWORK_NAME.source}: "${network}"`;
  const isNamed = isNamedNetwork(network);
  if (aliases.length > 0 && !isNamed) return `aliases need a named network, not "${network}"`;
  if (network === 'none' && egress.length > 0) return 'egress needs a network, not "none"';
  if (network === 'none' && ports.length > 0) return 'ports need a network, not "none"';
  return aliasFault(aliases) ?? egressFault(egress) ?? portsFault(ports);
}

/** Whether it is one of `Engine.networks`. */
export function isNamedNetwork(network: string): boolean {
  return network !== 'none' && network !== 'bridge';
}

/** Fault of the name of a new network. */
export function networkNameFault(name: string): string | undefined {
  if (!NETWORK_NAME.test(name)) return `name must match ${NETWORK_NAME.source}: "${name}"`;
  const isTaken = !isNamedNetwork(name) || name === 'host';
  return isTaken ? `name "${name}" has a meaning of its own` : undefined;
}

function aliasFault(aliases: readonly string[]): string | undefined {
  const most = LIMITS.containerAliasesMax;
  if (aliases.length > most) return `aliases must be <= ${most}: found ${aliases.length}`;
  const wrong = aliases.find((alias) => !DNS_NAME.test(alias));
  return wrong === undefined ? undefined : `alias is no DNS name: "${wrong.slice(0, 300)}"`;
}

/** Fault of allowed networks; with `own`, also of those that are this machine's. */
export function egressFault(rules: readonly EgressRule[], own?: OwnPlaces): string | undefined {
  const most = LIMITS.containerEgressMax;
  if (rules.length > most) return `egress rules must be <= ${most}: found ${rules.length}`;
  for (const rule of rules) {
    const fault = ruleFault(rule, own);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function ruleFault({ cidr, port }: EgressRule, own: OwnPlaces | undefined): string | undefined {
  const shown = `egress "${cidr.slice(0, 100)}"`;
  if (cidr.includes(':')) return `${shown} is IPv6, which containers do not have`;
  const network = parseCidr(cidr);
  if (network === undefined) return `${shown} is no network such as 10.1.0.0/16`;
  if (port !== undefined && !isPort(port)) {
    return `port of ${shown} must be 1–${PORT_MAX}: current value is ${port}`;
  }
  const metadata = METADATA_NETWORKS.find((text) => overlaps(plain(text), network));
  if (metadata !== undefined) {
    return `${shown} holds ${metadata}, cloud metadata that no container may reach; name smaller networks`;
  }
  const nowhere = NOWHERE.find((text) => covers(plain(text), network));
  if (nowhere !== undefined) return `${shown} lies in ${nowhere}, which leads nowhere`;
  const address = own?.addresses.find((text) => cidr === text || network.text === `${text}/32`);
  if (address !== undefined) return `${shown} is this host, which no container may reach`;
  const subnet = own?.subnets.find((one) => covers(one, network));
  if (subnet === undefined) return undefined;
  return `${shown} lies in ${subnet.text}, addresses of containers, who share a named network instead`;
}

function plain(text: string): Subnet {
  const subnet = parseCidr(text);
  if (subnet === undefined) throw new RangeError(`no network: ${text}`);
  return subnet;
}

function portsFault(ports: readonly PublishedPort[]): string | undefined {
  const most = LIMITS.containerPortsMax;
  if (ports.length > most) return `published ports must be <= ${most}: found ${ports.length}`;
  const seen = new Set<string>();
  for (const { hostAddress, hostPort, containerPort, protocol } of ports) {
    const shown = `published port ${hostAddress}:${hostPort}`;
    if (protocol !== 'tcp' && protocol !== 'udp') return `${shown} must be tcp or udp`;
    if (parseAddress(hostAddress) === undefined) return `${shown} needs an IPv4 address`;
    if (hostPort !== 0 && !isPort(hostPort)) return `${shown} must be 0–${PORT_MAX}`;
    if (!isPort(containerPort)) {
      return `container port of ${shown} must be 1–${PORT_MAX}: current value is ${containerPort}`;
    }
    const key = `${protocol} ${hostAddress}:${hostPort}`;
    if (hostPort !== 0 && seen.has(key)) return `${shown}/${protocol} stands there twice`;
    seen.add(key);
  }
  return undefined;
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 1 && port <= PORT_MAX;
}
