import { createSocket, type Socket as DatagramSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { LIMITS } from '../../../../lib/limits.ts';
import type { Log } from '../../../../lib/telemetry/log.ts';
import { holds, parseAddress, type Subnet } from '../subnet.ts';
import {
  answerLocally,
  fitUdp,
  NAME_ERROR,
  type Query,
  readQuery,
  refusal,
  SERVER_FAILURE,
} from './answer.ts';
import type { Forwarder } from './forwarder.ts';
import type { NameTable } from './name-table.ts';
import { SourceRate } from './rate.ts';
import { frame, StreamFrames } from './stream-frames.ts';

const PORT = 53;
const STREAM_IDLE_MS = 10_000;
const STREAM_UNREAD_BYTES_MAX = 256 * 1024;
/** Of one asker, so that it leaves room for the others. */
const STREAMS_PER_SOURCE_MAX = LIMITS.dnsStreamsMax / 4;
const RATE = { burst: 400, perSecond: 200 };

export interface DnsServerOptions {
  /** Where it listens: the network's gateway, and nowhere else. */
  address: string;
  subnet: Subnet;
  table: NameTable;
  /** Absent for an internal network: a name server elsewhere is a way out too. */
  forwarder?: Forwarder;
  log: Log;
}

/** The name server of one network. */
export class DnsServer {
  readonly #options: DnsServerOptions;
  readonly #rate = new SourceRate(RATE);
  readonly #streams = new Set<Socket>();
  readonly #datagrams: DatagramSocket;
  readonly #server: Server;
  #isClosed = false;

  constructor(options: DnsServerOptions) {
    this.#options = options;
    this.#datagrams = createSocket('udp4');
    this.#datagrams.on('message', (packet, { address, port }) => {
      void this.#answer(packet, { source: address, stream: false }).then((answer) => {
        if (answer !== undefined) this.#send(answer, { address, port });
      });
    });
    this.#server = createServer((socket) => this.#serve(socket));
    this.#server.maxConnections = LIMITS.dnsStreamsMax;
  }

  /** @throws Error EADDRINUSE when the host has a name server at every address */
  async listen(): Promise<void> {
    const { address } = this.#options;
    this.#datagrams.bind({ port: PORT, address, exclusive: true });
    await once(this.#datagrams, 'listening');
    this.#server.listen({ port: PORT, host: address, exclusive: true });
    await once(this.#server, 'listening');
    const warn = (error: Error): void => {
      this.#options.log.warn({ address, error: error.message }, 'name server');
    };
    this.#datagrams.on('error', warn);
    this.#server.on('error', warn);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const socket of this.#streams) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
    try {
      this.#datagrams.close();
    } catch {
      // It never listened
    }
  }

  /** An address that is nobody's any more. */
  forget(source: string): void {
    this.#rate.forget(source);
  }

  #serve(socket: Socket): void {
    const source = socket.remoteAddress ?? '';
    const frames = new StreamFrames();
    const ofSource = [...this.#streams].filter((other) => other.remoteAddress === source);
    if (ofSource.length >= STREAMS_PER_SOURCE_MAX) {
      socket.destroy();
      return;
    }
    this.#streams.add(socket);
    socket.setTimeout(STREAM_IDLE_MS, () => socket.destroy());
    socket.on('error', () => {}).on('close', () => this.#streams.delete(socket));
    socket.on('data', async (chunk) => {
      for (const packet of frames.push(chunk)) {
        const answer = await this.#answer(packet, { source, stream: true });
        // What gets no answer costs time all the same, and one that never reads is not served for ever
        const isServed = answer !== undefined && socket.writableLength <= STREAM_UNREAD_BYTES_MAX;
        if (!isServed) socket.destroy();
        if (!isServed || socket.destroyed) return;
        socket.write(frame(answer));
      }
    });
  }

  /** A network may be gone by the time of an answer, and a packet may come from port 0. */
  #send(answer: Buffer, to: { address: string; port: number }): void {
    if (this.#isClosed || to.port === 0) return;
    this.#datagrams.send(answer, to.port, to.address, () => {});
  }

  /** Undefined for what gets no answer. */
  async #answer(
    packet: Buffer,
    from: { source: string; stream: boolean },
  ): Promise<Buffer | undefined> {
    const { subnet, table } = this.#options;
    if (!holds(subnet, parseAddress(from.source) ?? -1)) return undefined;
    if (!this.#rate.admits(from.source, performance.now())) return undefined;
    try {
      const read = readQuery(packet);
      if ('fault' in read) return read.fault && refusal(read.fault, read.fault.code);
      const { query } = read;
      const answer =
        answerLocally(query, { table, subnet }) ?? (await this.#forward(packet, query, from));
      return from.stream ? answer : fitUdp(query, answer);
    } catch (error) {
      // A name that cannot be written again as it came
      this.#options.log.debug({ error: String(error) }, 'question without answer');
      return undefined;
    }
  }

  async #forward(
    packet: Buffer,
    query: Query,
    from: { source: string; stream: boolean },
  ): Promise<Buffer> {
    const { forwarder } = this.#options;
    if (forwarder === undefined) return refusal(query, NAME_ERROR);
    return (await forwarder.ask(packet, from)) ?? refusal(query, SERVER_FAILURE);
  }
}
