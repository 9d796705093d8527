/** An IPv4 network in the form `10.88.0.0/17`, as numbers. */
export interface Subnet {
  base: number;
  prefix: number;
  text: string;
}

const PREFIX_MIN = 8;
const PREFIX_MAX = 28;

/** Reads CIDR notation; the base is cut to the prefix. @throws RangeError */
export function parseSubnet(text: string): Subnet {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/.exec(text);
  const parts = match?.slice(1, 5).map(Number) ?? [];
  const prefix = Number(match?.[5]);
  if (match === null || parts.some((part) => part > 255)) {
    throw new RangeError(`subnet must be like 10.88.0.0/17: current value is "${text}"`);
  }
  if (prefix < PREFIX_MIN || prefix > PREFIX_MAX) {
    throw new RangeError(
      `subnet prefix must be ${PREFIX_MIN}–${PREFIX_MAX}: current value is ${prefix}`,
    );
  }
  const address = parts.reduce((sum, part) => sum * 256 + part, 0);
  const base = address - (address % 2 ** (32 - prefix));
  return { base, prefix, text: `${dotted(base)}/${prefix}` };
}

/** The bridge's address: the first of the network. */
export function gatewayAddress(subnet: Subnet): string {
  return dotted(subnet.base + 1);
}

/** Addresses that slots can have: all but network, gateway and broadcast. */
export function slotCount(subnet: Subnet): number {
  return 2 ** (32 - subnet.prefix) - 3;
}

/** Address of slot 0 … slotCount-1. */
export function slotAddress(subnet: Subnet, slot: number): string {
  return dotted(subnet.base + 2 + slot);
}

/** A number as dotted quad. */
export function dotted(address: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join('.');
}
