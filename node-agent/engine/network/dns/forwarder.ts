import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { LIMITS } from '../../../../lib/limits.ts';
import { frame, StreamFrames } from './stream-frames.ts';

const DNS_PORT = 53;
const ANSWER_MS = 2_000;
const HEADER_BYTES = 12;
/** Of one asker, so that it leaves room for the others. */
const PER_SOURCE_MAX = LIMITS.dnsForwardsMax / 4;

export interface ForwardOptions {
  /** The host's name servers, asked in this order; read anew each time. */
  resolvers: () => readonly string[];
  /** Where they listen; another one only for tests. */
  port?: number;
}

/** Asks the host's name servers what a network does not know itself. */
export class Forwarder {
  readonly #options: ForwardOptions;
  readonly #underWay = new Map<string, number>();
  #count = 0;

  constructor(options: ForwardOptions) {
    this.#options = options;
  }

  /** The first answer of a name server; undefined when none came, or too much is under way. */
  async ask(
    packet: Buffer,
    from: { source: string; stream: boolean },
  ): Promise<Buffer | undefined> {
    const ofSource = this.#underWay.get(from.source) ?? 0;
    if (this.#count >= LIMITS.dnsForwardsMax || ofSource >= PER_SOURCE_MAX) return undefined;
    this.#count += 1;
    this.#underWay.set(from.source, ofSource + 1);
    try {
      return await this.#askAll(packet, from.stream);
    } finally {
      this.#count -= 1;
      const left = (this.#underWay.get(from.source) ?? 1) - 1;
      if (left > 0) this.#underWay.set(from.source, left);
      else this.#underWay.delete(from.source);
    }
  }

  async #askAll(packet: Buffer, stream: boolean): Promise<Buffer | undefined> {
    const id = packet.readUInt16BE(0);
    const port = this.#options.port ?? DNS_PORT;
    for (const host of this.#options.resolvers().slice(0, 3)) {
      // A number of its own each time: whoever wants to answer in its place must guess it
      const question = withId(packet, randomInt(0x1_0000));
      const target = { host, port };
      const answer = await (stream ? askStream(question, target) : askDatagram(question, target));
      if (answer !== undefined) return withId(answer, id);
    }
    return undefined;
  }
}

/** Whether a packet answers this question: the same number, and the same question (RFC 5452 9.1). */
export function isAnswerTo(question: Buffer, answer: Buffer): boolean {
  if (answer.length < HEADER_BYTES || ((answer[2] ?? 0) & 0x80) === 0) return false;
  if (answer.readUInt16BE(0) !== question.readUInt16BE(0)) return false;
  // A refusal may leave the question out
  if (answer.readUInt16BE(4) === 0) return answer.length === HEADER_BYTES;
  const end = questionEnd(question);
  if (end === undefined || answer.readUInt16BE(4) !== 1) return false;
  const asked = question.subarray(HEADER_BYTES, end);
  return lower(asked).equals(lower(answer.subarray(HEADER_BYTES, end)));
}

/** Where the one question of a packet ends: name, type and class. */
function questionEnd(packet: Buffer): number | undefined {
  let at = HEADER_BYTES;
  for (;;) {
    const length = packet[at];
    if (length === undefined || length > 63) return undefined;
    at += 1 + length;
    if (length === 0) return at + 4 <= packet.length ? at + 4 : undefined;
  }
}

function lower(bytes: Buffer): Buffer {
  return bytes.map((byte) => (byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte)) as Buffer;
}

interface Target {
  host: string;
  port: number;
}

/** Each question has a socket of its own, and with it a port that the kernel picks at random. */
function askDatagram(question: Buffer, { host, port }: Target): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4');
    const finish = (answer?: Buffer): void => {
      clearTimeout(timer);
      socket.removeAllListeners().on('error', () => {});
      socket.close();
      resolve(answer);
    };
    const timer = setTimeout(finish, ANSWER_MS);
    socket.on('error', () => finish());
    socket.on('message', (answer) => {
      if (isAnswerTo(question, answer)) finish(answer);
    });
    // Connected: the kernel lets nobody else's packets in. Without a route this hears the error
    socket.connect(port, host, (error?: Error) => (error ? finish() : socket.send(question)));
  });
}

function askStream(question: Buffer, { host, port }: Target): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const frames = new StreamFrames();
    const finish = (answer?: Buffer): void => {
      clearTimeout(timer);
      socket.removeAllListeners().on('error', () => {});
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(finish, ANSWER_MS);
    socket.on('error', () => finish()).on('close', () => finish());
    socket.on('data', (chunk) => {
      const answer = frames.push(chunk).find((one) => isAnswerTo(question, one));
      if (answer !== undefined) finish(answer);
    });
    socket.write(frame(question));
  });
}

function withId(packet: Buffer, id: number): Buffer {
  const copy = Buffer.from(packet);
  copy.writeUInt16BE(id, 0);
  return copy;
}
