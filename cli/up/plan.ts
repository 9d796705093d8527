import { DAEMON_DEFAULTS } from '../../lib/config.ts';
import { HearthError } from '../../lib/errors.ts';

/** The daemons in the order in which they start; they stop in the reverse order. */
export const DAEMONS = ['builder', 'node-agent', 'scheduler', 'gateway'] as const;

export type DaemonName = (typeof DAEMONS)[number];

/** Where each daemon listens under `hearth up` when the port is free. */
export const DEFAULT_PORTS: Readonly<Record<DaemonName | 'registry', number>> = {
  gateway: DAEMON_DEFAULTS.gateway.port,
  'node-agent': DAEMON_DEFAULTS['node-agent'].port,
  builder: DAEMON_DEFAULTS.builder.port,
  scheduler: DAEMON_DEFAULTS.scheduler.port,
  registry: DAEMON_DEFAULTS.builder.registryPort,
};

export type Ports = Record<DaemonName | 'registry', number>;

export interface PlanOptions {
  dataRoot: string;
  /** Interface of the gateway; all other daemons listen on loopback. */
  host: string;
  ports: Ports;
  redisUrl: string;
  /** Addresses of all containers, an IPv4 CIDR; half for instances, half for build steps. */
  subnet: string;
  /** First host uid of all containers: ranges of instances from there, of build steps above them. */
  uidBase: number;
  /** Whom the gateway runs as: who may connect to instances beside root. */
  gatewayUid: number;
}

/** More than an agent's most instances have, at 65,536 uids each. */
const INSTANCE_UIDS = 0x0400_0000;

/** The `HEARTH_*` variables of each daemon; every value is given, so nothing leaks in from outside. */
export function planEnvironment(options: PlanOptions): Record<DaemonName, Record<string, string>> {
  const [instances, builds] = halves(options.subnet);
  const shared = {
    HEARTH_DATA_ROOT: options.dataRoot,
    HEARTH_HOST: '127.0.0.1',
    HEARTH_REDIS_URL: options.redisUrl,
    HEARTH_REGISTRY_URL: `http://127.0.0.1:${options.ports.registry}`,
    HEARTH_PUBLIC_URL: publicUrl(options.host, options.ports.gateway),
  };
  const port = (name: DaemonName) => ({ HEARTH_PORT: String(options.ports[name]) });
  return {
    builder: {
      ...shared,
      ...port('builder'),
      HEARTH_REGISTRY_PORT: String(options.ports.registry),
      HEARTH_SUBNET: builds,
      HEARTH_UID_BASE: String(options.uidBase + INSTANCE_UIDS),
    },
    'node-agent': {
      ...shared,
      ...port('node-agent'),
      HEARTH_SUBNET: instances,
      HEARTH_UID_BASE: String(options.uidBase),
      HEARTH_CONTAINER_USERS: String(options.gatewayUid),
    },
    scheduler: { ...shared, ...port('scheduler') },
    gateway: { ...shared, ...port('gateway'), HEARTH_HOST: options.host },
  };
}

/** The gateway's base URL as a user on this machine types it. */
export function publicUrl(host: string, port: number): string {
  const shown = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
  return `http://${shown.includes(':') ? `[${shown}]` : shown}:${port}`;
}

/**
 * First and last address of an IPv4 CIDR as numbers.
 * @throws HearthError ConfigInvalid unless the prefix is from 8 to 28
 */
export function rangeOf(cidr: string): { first: number; last: number; prefix: number } {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/.exec(cidr);
  const parts = match?.slice(1).map(Number) ?? [];
  const prefix = parts[4] ?? 0;
  if (parts.slice(0, 4).some((part) => part > 255) || prefix < 8 || prefix > 28) {
    throw new HearthError(
      'ConfigInvalid',
      `--subnet must be an IPv4 CIDR with a prefix from 8 to 28: current value is "${cidr}"`,
    );
  }
  const address = parts.slice(0, 4).reduce((sum, part) => sum * 256 + part, 0);
  const size = 2 ** (32 - prefix);
  const first = address - (address % size);
  return { first, last: first + size - 1, prefix };
}

/**
 * Both halves of an IPv4 CIDR: 10.62.0.0/16 → 10.62.0.0/17 and 10.62.128.0/17.
 * @throws HearthError ConfigInvalid unless the prefix is from 8 to 28
 */
export function halves(cidr: string): [string, string] {
  const { first, prefix } = rangeOf(cidr);
  const half = 2 ** (31 - prefix);
  return [`${dotted(first)}/${prefix + 1}`, `${dotted(first + half)}/${prefix + 1}`];
}

function dotted(address: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join('.');
}
