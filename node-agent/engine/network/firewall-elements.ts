import type { EgressRule, PublishedPort } from '../container-spec.ts';
import type { NetworkSlot } from './network-plan.ts';
import { widestNetworks } from './subnet.ts';

/** An element of one of the firewall's sets; of a map, with `value`. */
export interface Element {
  family: 'inet' | 'bridge';
  set: string;
  key: string;
  value?: string;
}

/** Lines of `nft -f` that add or delete elements, those of one set together. */
export function elementLines(
  verb: 'add' | 'delete',
  table: string,
  elements: readonly Element[],
): string[] {
  const sets = new Map<string, string[]>();
  for (const { family, set, key, value } of elements) {
    const place = `${family} ${table} ${set}`;
    const text = value === undefined || verb === 'delete' ? key : `${key} : ${value}`;
    sets.set(place, [...(sets.get(place) ?? []), text]);
  }
  return [...sets].map(([place, texts]) => `${verb} element ${place} { ${texts.join(', ')} }`);
}

/** The only source that a slot's link may send from. */
export function sourceElement(slot: Pick<NetworkSlot, 'veth' | 'mac' | 'address'>): Element {
  const key = `"${slot.veth}" . ${slot.mac} . ${slot.address}`;
  return { family: 'bridge', set: 'sources', key };
}

/**
 * What lets one address out to private networks. The kernel refuses elements that overlap, so a rule
 * that a wider one holds is left out; whole networks and single ports are in sets of their own.
 */
export function egressElements(address: string, rules: readonly EgressRule[]): Element[] {
  const whole = widestNetworks(cidrsAt(rules, undefined));
  const elements = whole.map((network) => element('egress', `${address} . ${network.text}`));
  const ports = new Set(rules.flatMap(({ port }) => port ?? []));
  for (const port of ports) {
    for (const network of widestNetworks(cidrsAt(rules, port))) {
      elements.push(element('egress_ports', `${address} . ${network.text} . ${port}`));
    }
  }
  return elements;
}

/** What leads from ports of the host to those of one address. */
export function portElements(address: string, ports: readonly PublishedPort[]): Element[] {
  const targets = new Set<string>();
  const elements = ports.flatMap(({ hostAddress, hostPort, containerPort, protocol }) => {
    // Nothing comes to loopback from outside; clients of this host have the relay
    if (hostAddress.startsWith('127.')) return [];
    targets.add(`${protocol} . ${address} . ${containerPort}`);
    const value = `${address} . ${containerPort}`;
    const isAny = hostAddress === '0.0.0.0';
    const key = `${protocol} . ${isAny ? '' : `${hostAddress} . `}${hostPort}`;
    return [{ ...element(isAny ? 'ports_any' : 'ports', key), value }];
  });
  return [...elements, ...[...targets].map((key) => element('published', key))];
}

function element(set: string, key: string): Element {
  return { family: 'inet', set, key };
}

function cidrsAt(rules: readonly EgressRule[], port: number | undefined): string[] {
  return rules.filter((rule) => rule.port === port).map(({ cidr }) => cidr);
}
