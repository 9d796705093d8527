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
    const isAny = options.port === 0 || taken.has(DEFAULT_PORTS[name]);
    const wanted = isAny ? 0 : DEFAULT_PORTS[name];
    ports[name] = (await freePort('127.0.0.1', wanted)) ?? (await anyFreePort('127.0.0.1'));
    taken.add(ports[name]);
  }
  return ports;
}

async function gatewayPort({ host, port, anyPort }: PortOptions): Promise<number> {
  const free = await freePort(host, port);
  if (free !== undefined) return free;
  if (anyPort === true) return anyFreePort(host);
  throw new HearthError('Conflict', `port ${port} of ${host} is in use`, {
    hint: 'choose another with --port, or stop the program that listens there',
  });
}

async function anyFreePort(host: string): Promise<number> {
  return (await freePort(host, 0)) ?? 0;
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
