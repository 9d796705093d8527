import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { LIMITS } from '../../../../lib/limits.ts';

/** Where a relay listens, and where it leads to. */
export interface RelayPlan {
  hostAddress: string;
  /** 0 takes a free one. */
  hostPort: number;
  address: string;
  port: number;
}

/** An open port of this host that leads to a container. */
export interface Relay {
  /** The real one. */
  hostPort: number;
  close(): Promise<void>;
}

/** Leads connections of clients on this host to a container. @throws Error EADDRINUSE, EADDRNOTAVAIL */
export async function openTcpRelay(plan: RelayPlan): Promise<Relay> {
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const target = connect({ host: plan.address, port: plan.port, allowHalfOpen: true });
    join(client, target);
    for (const socket of [client, target]) {
      open.add(socket);
      socket.on('close', () => open.delete(socket));
    }
  });
  server.maxConnections = LIMITS.relayConnectionsMax;
  server.listen({ port: plan.hostPort, host: plan.hostAddress, exclusive: true });
  await once(server, 'listening');
  server.on('error', () => {});
  return {
    hostPort: portOf(server),
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
}

/** Each side hears of the other's end, and one that fails takes both along. */
function join(client: Socket, target: Socket): void {
  client.pipe(target);
  target.pipe(client);
  client.on('error', () => target.destroy()).on('close', () => target.destroySoon());
  target.on('error', () => client.resetAndDestroy()).on('close', () => client.destroySoon());
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}
