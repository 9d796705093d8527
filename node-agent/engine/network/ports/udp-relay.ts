import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { LIMITS } from '../../../../lib/limits.ts';
import type { Relay, RelayPlan } from './tcp-relay.ts';

const IDLE_MS = 60_000;
const SWEEP_MS = 10_000;

/** A client's packets go out by a socket of its own, so that answers find the way back. */
interface Flow {
  socket: Socket;
  lastMs: number;
}

/** Leads datagrams of clients on this host to a container. @throws Error EADDRINUSE, EADDRNOTAVAIL */
export async function openUdpRelay(plan: RelayPlan): Promise<Relay> {
  const server = createSocket('udp4');
  server.bind({ port: plan.hostPort, address: plan.hostAddress, exclusive: true });
  await once(server, 'listening');
  const flows = new UdpFlows(plan, server);
  server.on('error', () => {});
  server.on('message', (packet, { address, port }) => flows.send(packet, { address, port }));
  return {
    hostPort: server.address().port,
    close: async () => {
      flows.close();
      const closed = once(server, 'close');
      server.close();
      await closed;
    },
  };
}

class UdpFlows {
  readonly #plan: RelayPlan;
  readonly #server: Socket;
  /** The one that was used last stands last. */
  readonly #flows = new Map<string, Flow>();
  readonly #timer: NodeJS.Timeout;

  constructor(plan: RelayPlan, server: Socket) {
    this.#plan = plan;
    this.#server = server;
    this.#timer = setInterval(() => this.#endIdle(performance.now()), SWEEP_MS).unref();
  }

  send(packet: Buffer, client: { address: string; port: number }): void {
    // RFC 768: a port of 0 waits for no answer, and none can be sent there
    if (client.port === 0) return;
    const key = `${client.address}:${client.port}`;
    const flow = this.#flows.get(key) ?? this.#open(key, client);
    this.#use(key, flow);
    flow.socket.send(packet, this.#plan.port, this.#plan.address, () => {});
  }

  close(): void {
    clearInterval(this.#timer);
    for (const key of [...this.#flows.keys()]) this.#end(key);
  }

  #open(key: string, client: { address: string; port: number }): Flow {
    const [oldest] = this.#flows.keys();
    if (this.#flows.size >= LIMITS.relayFlowsMax && oldest !== undefined) this.#end(oldest);
    const socket = createSocket('udp4');
    const flow = { socket, lastMs: performance.now() };
    socket.on('error', () => this.#end(key));
    socket.on('message', (packet, { address, port }) => {
      if (address !== this.#plan.address || port !== this.#plan.port) return;
      this.#use(key, flow);
      this.#server.send(packet, client.port, client.address, () => {});
    });
    return flow;
  }

  #use(key: string, flow: Flow): void {
    flow.lastMs = performance.now();
    this.#flows.delete(key);
    this.#flows.set(key, flow);
  }

  #endIdle(nowMs: number): void {
    for (const [key, { lastMs }] of this.#flows) {
      if (nowMs - lastMs < IDLE_MS) return;
      this.#end(key);
    }
  }

  #end(key: string): void {
    const flow = this.#flows.get(key);
    this.#flows.delete(key);
    flow?.socket.removeAllListeners().on('error', () => {});
    flow?.socket.close();
  }
}
