import { covers, overlaps, parseCidr, type Subnet, subnetAt, subnetSize } from './subnet.ts';

const NAMED_PREFIX_MIN = 16;
const NAMED_PREFIX_MAX = 28;
/** Of networks that the engine chooses: 253 containers where there is room for many such. */
const CHOSEN_PREFIX = 24;
/** RFC 1918. */
const PRIVATE = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16'];

/** What a new network must not overlap. */
export interface TakenSubnets {
  /** Of this engine: its own addresses and those of its networks, with whose they are. */
  engine: readonly { subnet: Subnet; owner: string }[];
  /** Where this host's routes lead. */
  routes: readonly Subnet[];
}

/** A free part of the engine's addresses for a network; undefined when there is none. */
export function freeSubnet(pool: Subnet, taken: readonly Subnet[]): Subnet | undefined {
  const prefix = Math.max(CHOSEN_PREFIX, Math.min(NAMED_PREFIX_MAX, pool.prefix + 2));
  const end = pool.base + subnetSize(pool);
  for (let base = pool.base; base < end; base += 2 ** (32 - prefix)) {
    const subnet = subnetAt(base, prefix);
    if (!taken.some((other) => overlaps(other, subnet))) return subnet;
  }
  return undefined;
}

/** Fault of a subnet that a user gives a new network, as a sentence. */
export function subnetFault(text: string): string | undefined {
  const subnet = text.includes('/') ? parseCidr(text) : undefined;
  if (subnet === undefined) return `subnet must be like 172.20.0.0/24: current value is "${text}"`;
  const { prefix } = subnet;
  if (prefix < NAMED_PREFIX_MIN || prefix > NAMED_PREFIX_MAX) {
    return `subnet prefix must be ${NAMED_PREFIX_MIN}–${NAMED_PREFIX_MAX}: current value is ${prefix}`;
  }
  const isPrivate = PRIVATE.some((one) => covers(parseCidr(one) as Subnet, subnet));
  return isPrivate ? undefined : `subnet must lie in ${PRIVATE.join(', ')}: "${text}"`;
}

/** Whose addresses a subnet overlaps; undefined when it is free. */
export function subnetOwner(subnet: Subnet, taken: TakenSubnets): string | undefined {
  const other = taken.engine.find((one) => overlaps(one.subnet, subnet));
  if (other !== undefined) return `${other.subnet.text} of ${other.owner}`;
  const route = taken.routes.find((one) => overlaps(one, subnet));
  return route === undefined ? undefined : `${route.text}, to which this host has a route`;
}

/** Networks of proc_pid_net(5)'s `route`, but the default; addresses stand there in host byte order. */
export function parseRoutes(text: string): Subnet[] {
  const routes: Subnet[] = [];
  for (const line of text.split('\n').slice(1)) {
    const [, target = '', , , , , , mask = ''] = line.split('\t');
    if (!/^[0-9A-F]{8}$/.test(target) || !/^[0-9A-F]{8}$/.test(mask)) continue;
    const bits = [...swapped(mask).toString(2)].filter((bit) => bit === '1').length;
    if (bits > 0) routes.push(subnetAt(swapped(target), bits));
  }
  return routes;
}

function swapped(hex: string): number {
  return Buffer.from(hex, 'hex').readUInt32LE(0);
}
