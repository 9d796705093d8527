import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { errnoCode, HearthError } from '../../lib/errors.ts';
import { DEFAULT_PORTS, type Ports } from './plan.ts';

export interface PortOptions {
  host: string;
  /** The gateway's; 0 takes free ones for all daemons, so that platforms can stand side by side. */
  port: number;
  /** Take a free port instead of a gateway's port that is in use. */
  anyPort?: boolean;
}

/**
 * The ports of all daemons, known before any of them starts so that each can be told the others'.
 * @throws HearthError Conflict when the gateway's port is in use
 */
export async function choosePorts(options: PortOptions): Promise<Ports> {
  const gateway = await gatewayPort(options);
  const ports: Ports = { ...DEFAULT_PORTS, gateway };
  const taken = new Set([gateway]);
  for (const name of ['node-agent', 'builder', 'scheduler', 'registry'] as const) {
    const wanted = DEFAULT_PORTS[name];
    const isAny = options.port === 0 || taken.has(wanted);
    const free = isAny ? undefined : await freePort('127.0.0.1', wanted);
    ports[name] = free ?? (await anyFreePort('127.0.0.1', taken));
    taken.add(ports[name]);
  }
  return ports;
}

async function gatewayPort({ host, port, anyPort }: PortOptions): Promise<number> {
  const free = port === 0 ? undefined : await freePort(host, port);
  if (free !== undefined) return free;
  if (port === 0 || anyPort === true) return anyFreePort(host, new Set());
  throw new HearthError('Conflict', `port ${port} of ${host} is in use`, {
    hint: 'choose another with --port, or stop the program that listens there',
  });
}

const LOWEST = 10_000;
const TRIES_MAX = 50;

/**
 * A port that no outgoing connection takes before the daemon listens, as the kernel would give one
 * of its own choice to: below ip_local_port_range (ip(7)).
 */
async function anyFreePort(host: string, taken: ReadonlySet<number>): Promise<number> {
  const end = outgoingPortMin();
  for (let tries = 0; tries < TRIES_MAX && end > LOWEST; tries++) {
    const port = randomInt(LOWEST, end);
    if (!taken.has(port) && (await freePort(host, port)) !== undefined) return port;
  }
  return (await freePort(host, 0)) ?? 0;
}

function outgoingPortMin(): number {
  try {
    return Number.parseInt(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8'), 10);
  } catch {
    return 0;
  }
}

/** `port`, or any free one for 0; undefined when it is in use. */
function freePort(host: string, port: number): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', (error) => {
      if (errnoCode(error) === 'EADDRINUSE') resolve(undefined);
      else reject(cannotListen(host, port, error));
    });
    server.listen({ host, port, exclusive: true }, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' ? address?.port : undefined));
    });
  });
}

function cannotListen(host: string, port: number, cause: Error): HearthError {
  const why = errnoCode(cause) ?? cause.message;
  return new HearthError('ConfigInvalid', `cannot listen on ${host} port ${port} (${why})`, {
    hint: '--host must be an address of this machine',
    cause,
  });
}
