/** An IPv4 network in the form `10.88.0.0/17`, as numbers. */
export interface Subnet {
  base: number;
  prefix: number;
  text: string;
}

const PREFIX_MIN = 8;
const PREFIX_MAX = 28;
const NUMBER = /^(0|[1-9]\d{0,2})$/;

/** An IPv4 address as a number; undefined for anything else, leading zeros among it (RFC 6943 3.1.1). */
export function parseAddress(text: string): number | undefined {
  const parts = text.split('.');
  if (parts.length !== 4) return undefined;
  if (!parts.every((part) => NUMBER.test(part) && Number(part) <= 255)) return undefined;
  return parts.reduce((sum, part) => sum * 256 + Number(part), 0);
}

/** Reads `ADDRESS` or `ADDRESS/0` … `/32`; the base is cut to the prefix. */
export function parseCidr(text: string): Subnet | undefined {
  const [start = '', length = '32', ...more] = text.split('/');
  const address = parseAddress(start);
  const prefix = Number(length);
  if (address === undefined || more.length > 0 || !NUMBER.test(length) || prefix > 32) {
    return undefined;
  }
  return subnetAt(address, prefix);
}

/** The network of this length that an address lies in. */
export function subnetAt(address: number, prefix: number): Subnet {
  const base = address - (address % 2 ** (32 - prefix));
  return { base, prefix, text: `${dotted(base)}/${prefix}` };
}

/** Reads the network of a bridge. @throws RangeError */
export function parseSubnet(text: string): Subnet {
  const subnet = text.includes('/') ? parseCidr(text) : undefined;
  if (subnet === undefined) {
    throw new RangeError(`subnet must be like 10.88.0.0/17: current value is "${text}"`);
  }
  if (subnet.prefix < PREFIX_MIN || subnet.prefix > PREFIX_MAX) {
    throw new RangeError(
      `subnet prefix must be ${PREFIX_MIN}–${PREFIX_MAX}: current value is ${subnet.prefix}`,
    );
  }
  return subnet;
}

/** How many addresses there are in it. */
export function subnetSize(subnet: Subnet): number {
  return 2 ** (32 - subnet.prefix);
}

/** Whether all of `inner` lies in `outer`. */
export function covers(outer: Subnet, inner: Subnet): boolean {
  return inner.prefix >= outer.prefix && holds(outer, inner.base);
}

/** Whether an address lies in it. */
export function holds(subnet: Subnet, address: number): boolean {
  return address >= subnet.base && address < subnet.base + subnetSize(subnet);
}

/** Whether they share an address. Networks nest or are apart. */
export function overlaps(a: Subnet, b: Subnet): boolean {
  return covers(a, b) || covers(b, a);
}

/** Networks that hold all of these and do not overlap; what cannot be read is left out. */
export function widestNetworks(texts: readonly string[]): Subnet[] {
  const networks = texts.flatMap((text) => parseCidr(text) ?? []);
  networks.sort((a, b) => a.prefix - b.prefix || a.base - b.base);
  const kept: Subnet[] = [];
  for (const network of networks) {
    if (!kept.some((wider) => covers(wider, network))) kept.push(network);
  }
  return kept;
}

/** The bridge's address: the first of the network. */
export function gatewayAddress(subnet: Subnet): string {
  return dotted(subnet.base + 1);
}

/** Addresses that slots can have: all but network, gateway and broadcast. */
export function slotCount(subnet: Subnet): number {
  return subnetSize(subnet) - 3;
}

/** Address of slot 0 … slotCount-1. */
export function slotAddress(subnet: Subnet, slot: number): string {
  return dotted(subnet.base + 2 + slot);
}

/** A number as dotted quad. */
export function dotted(address: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join('.');
}
