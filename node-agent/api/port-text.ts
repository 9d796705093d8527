import { isIPv4 } from 'node:net';
import type { PublishedPort } from '../engine/container-spec.ts';

const PORT_MAX = 65_535;
const ADDRESS_ALL = '0.0.0.0';
const FORM = '[ADDRESS:]HOSTPORT:PORT[/tcp|/udp]';

/**
 * A published port as `docker run -p` takes it: `8080:80`, `127.0.0.1:8080:80/udp`; without a port
 * of the host (`80`, `127.0.0.1::80`) a free one. A text instead is what is wrong with it.
 */
export function parsePort(text: string): PublishedPort | string {
  const [numbers = '', protocol = 'tcp', ...more] = text.split('/');
  if (more.length > 0) return `must be ${FORM}`;
  if (protocol !== 'tcp' && protocol !== 'udp') return `has a protocol that is neither tcp nor udp`;
  if (numbers.includes('[')) return 'has an IPv6 address, which containers do not have';
  const parts = numbers.split(':');
  if (parts.length > 3) return `must be ${FORM}`;
  const container = parts.at(-1) ?? '';
  const host = parts.length > 1 ? (parts.at(-2) ?? '') : '';
  const address = parts.length > 2 ? (parts[0] ?? '') : ADDRESS_ALL;
  if ([container, host].some((part) => /^\d+-\d+$/.test(part))) {
    return 'is a range of ports: name each port by itself';
  }
  if (!isIPv4(address)) return `has an address that is not IPv4: "${address}"`;
  const containerPort = portOf(container);
  const hostPort = host === '' ? 0 : portOf(host);
  if (containerPort === undefined || containerPort === 0 || hostPort === undefined) {
    return `has a port that is not a number from 1 to ${PORT_MAX}`;
  }
  return { hostAddress: address, hostPort, containerPort, protocol };
}

function portOf(text: string): number | undefined {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  return port <= PORT_MAX ? port : undefined;
}
