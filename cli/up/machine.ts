import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { configPath } from '../../lib/config.ts';
import { packageRoot } from '../../lib/paths.ts';
import { type PrivilegeFacts, type Unprivileged, USERS } from './privileges.ts';
import { EXECUTE, firstClosed, READ, type Want, WRITE } from './reach.ts';
import { findCommand } from './redis.ts';

export interface MachineOptions {
  dataRoot: string;
  /** Folder of `<daemon>/main.js`. */
  programs: string;
  /** A Redis that is not the supervisor's. */
  redisUrl?: string;
  /** The gateway's. */
  port: number;
}

/** What this machine gives to processes that are not root. */
export function privilegeFacts(options: MachineOptions): PrivilegeFacts {
  const closed: PrivilegeFacts['closed'] = {};
  for (const [name, wants] of Object.entries(wantsOf(options)) as [Unprivileged, Want[]][]) {
    const found = firstClosed(wants, USERS[name]);
    if (found !== undefined) closed[name] = found;
  }
  return {
    isRoot: process.getuid?.() === 0,
    setpriv: findCommand('setpriv'),
    closed,
    port: options.port,
    freePortMin: freePortMin(),
  };
}

/** All that each must reach to work, but what `giveFolders()` opens to it. */
function wantsOf(options: MachineOptions): Record<Unprivileged, Want[]> {
  const data = { path: dirname(options.dataRoot), bits: EXECUTE };
  const redis = { path: findCommand('redis-server') ?? '/', bits: EXECUTE };
  const foreign = foreignSocket(options.redisUrl);
  const daemon = (name: string): Want[] => [
    { path: process.execPath, bits: EXECUTE },
    { path: join(options.programs, name, 'main.js'), bits: READ },
    { path: join(packageRoot, 'package.json'), bits: READ },
    { path: join(packageRoot, 'node_modules'), bits: READ | EXECUTE },
    { path: configPath(process.env), bits: READ },
    ...foreign,
    data,
  ];
  return {
    redis: options.redisUrl === undefined ? [redis, data] : [],
    scheduler: daemon('scheduler'),
    gateway: daemon('gateway'),
  };
}

/** Connecting to a unix socket takes the right to write it (unix(7)). */
function foreignSocket(redisUrl = ''): Want[] {
  const path = /^unix:\/\/([^?]+)/.exec(redisUrl)?.[1];
  return path === undefined ? [] : [{ path, bits: WRITE }];
}

const FREE_PORT_MIN_DEFAULT = 1024;

/** The first port that needs no privilege (ip_sysctl: ip_unprivileged_port_start). */
function freePortMin(): number {
  try {
    return Number(readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8'));
  } catch {
    return FREE_PORT_MIN_DEFAULT;
  }
}
