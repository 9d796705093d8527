import { once } from 'node:events';
import {
  type AddressInfo,
  connect,
  createServer,
  type NetConnectOpts,
  type Socket,
} from 'node:net';
import { HearthError } from '../../lib/errors.ts';
import { LIMITS } from '../../lib/limits.ts';
import type { InstanceEndpoint } from '../../lib/records.ts';

/** Where gateways reach an instance, and how to take that back. */
export interface Exposure {
  endpoint: InstanceEndpoint;
  close(): void;
}

/** Makes an instance's own endpoint one that all gateways reach. */
export type Expose = (own: InstanceEndpoint) => Promise<Exposure>;

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1)$/;

/**
 * How instances are exposed by an agent that listens on `host`: on loopback, gateways are on this
 * machine and connect to the instance itself; else each instance gets a port of the agent's.
 * @throws HearthError ConfigInvalid when gateways elsewhere could not know the agent's address
 */
export function exposureFor(host: string, advertiseUrl: string): Expose {
  if (LOOPBACK.test(host)) return async (endpoint) => ({ endpoint, close: () => {} });
  const advertised = advertiseUrl === '' ? host : new URL(advertiseUrl).hostname;
  if (advertised === '0.0.0.0' || advertised === '::') {
    throw new HearthError(
      'ConfigInvalid',
      `gateways on other machines cannot reach ${advertised}: advertiseUrl is not set`,
      { hint: 'set --advertise-url to the URL under which they reach this node agent' },
    );
  }
  return (own) => relay(own, host, advertised);
}

/**
 * A port on `host` whose connections go on to `own`, byte by byte. Whoever reaches the port reaches
 * the function, as through a gateway.
 */
async function relay(own: InstanceEndpoint, host: string, advertised: string): Promise<Exposure> {
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (outer) => {
    const inner = connect({ ...targetOf(own), allowHalfOpen: true, noDelay: true });
    for (const socket of [outer, inner]) {
      open.add(socket);
      socket.once('close', () => open.delete(socket));
    }
    join(outer, inner);
  });
  server.maxConnections = LIMITS.concurrencyMax;
  server.listen(0, host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    endpoint: { kind: 'tcp', host: advertised, port },
    close: () => {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
}

function targetOf(own: InstanceEndpoint): NetConnectOpts {
  return own.kind === 'unix' ? { path: own.path } : { host: own.host, port: own.port };
}

/** Bytes and half-closes both ways; a broken side breaks the other. */
function join(one: Socket, other: Socket): void {
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    from.pipe(to);
    from.on('error', () => to.destroy());
    from.once('close', () => {
      if (!from.readableEnded || !to.writableEnded) to.destroy();
    });
  }
}
