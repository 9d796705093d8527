import { isIPv4 } from 'node:net';

/** A private network that may be reached; without `port`, every port of it. */
export interface EgressText {
  cidr: string;
  port?: number;
}

/** `CIDR` or `CIDR:PORT`. A text instead is what is wrong with it. */
export function parseEgress(text: string): EgressText | string {
  const [cidr = '', portText, ...more] = text.split(':');
  const [address = '', prefix = '', ...rest] = cidr.split('/');
  const isCidr = isIPv4(address) && /^\d{1,2}$/.test(prefix) && Number(prefix) <= 32;
  if (!isCidr || rest.length > 0 || more.length > 0) {
    return 'must be an IPv4 network such as 10.1.0.0/16 or 10.1.2.3/32:5432';
  }
  if (portText === undefined) return { cidr };
  const port = /^\d{1,5}$/.test(portText) ? Number(portText) : 0;
  if (port < 1 || port > 65_535) return 'has a port that is not a number from 1 to 65535';
  return { cidr, port };
}
