import { type Answer, AUTHORITATIVE_ANSWER, type DecodedPacket, decode, encode } from 'dns-packet';
import { holds, parseAddress, type Subnet } from '../subnet.ts';
import type { NameTable } from './name-table.ts';

/** RFC 1035 4.1.1: bits of the header's second half-word. */
const RECURSION_DESIRED = 0x100;
const RECURSION_AVAILABLE = 0x80;
const TRUNCATED = 0x200;
const HEADER_BYTES = 12;
/** Names come and go with containers, so nobody shall remember them for long. */
const TTL_SECONDS = 5;
/** RFC 1035 4.2.1; more only if the asker says so (RFC 6891), and never more than fits one packet. */
const UDP_BYTES_MIN = 512;
const UDP_BYTES_MAX = 1232;
const REVERSE = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.in-addr\.arpa\.?$/i;

/** RFC 1035 4.1.1, RFC 6895. */
export type ResponseCode = 0 | 1 | 2 | 3 | 4 | 5;
export const [FORMAT_ERROR, SERVER_FAILURE, NAME_ERROR, NOT_IMPLEMENTED, REFUSED] = [
  1, 2, 3, 4, 5,
] as const;

/** A question that can be answered. */
export interface Query {
  id: number;
  name: string;
  type: string;
  /** Bytes of an answer over UDP that the asker can take. */
  udpBytesMax: number;
  isRecursive: boolean;
  question: NonNullable<DecodedPacket['questions']>[number];
}

/** What is wrong with a packet: a code to answer, or undefined where nothing can be answered. */
export type QueryFault = { id: number; code: ResponseCode } | undefined;

/**
 * Beside its question a query has what says how it may be answered: EDNS, a signature (RFC 6891,
 * RFC 8945). Whatever else it announced would be read too, and names in 64 KiB take 80 ms to read.
 */
const ADDITIONALS_MAX = 2;
const QUERY_BYTES_MAX = 4096;

/** Reads one packet of a stranger. */
export function readQuery(packet: Buffer): { query: Query } | { fault: QueryFault } {
  // An answer, which is never answered
  if (packet.length < HEADER_BYTES || ((packet[2] ?? 0) & 0x80) !== 0) return { fault: undefined };
  const id = packet.readUInt16BE(0);
  if (((packet[2] ?? 0) & 0x78) !== 0) return { fault: { id, code: NOT_IMPLEMENTED } };
  if (!isPlain(packet)) return { fault: { id, code: FORMAT_ERROR } };
  let decoded: DecodedPacket;
  try {
    decoded = decode(packet);
  } catch {
    return { fault: { id, code: FORMAT_ERROR } };
  }
  const [question, ...others] = decoded.questions ?? [];
  if (question === undefined || others.length > 0 || question.name.length > 253) {
    return { fault: { id, code: FORMAT_ERROR } };
  }
  if (question.class !== 'IN') return { fault: { id, code: REFUSED } };
  const isRecursive = ((decoded.flags ?? 0) & RECURSION_DESIRED) !== 0;
  const { name, type } = question;
  return { query: { id, name, type, question, isRecursive, udpBytesMax: udpBytes(decoded) } };
}

/** Whether there is little to read in it: RFC 1035 4.1.1, the four counts. */
function isPlain(packet: Buffer): boolean {
  const [questions, answers, authorities, additionals = 0] = [4, 6, 8, 10].map((at) =>
    packet.readUInt16BE(at),
  );
  const isQuestion = questions === 1 && answers === 0 && authorities === 0;
  return isQuestion && additionals <= ADDITIONALS_MAX && packet.length <= QUERY_BYTES_MAX;
}

/**
 * The answer of a network's own: its containers' names and addresses. Undefined for all that
 * belongs to others.
 */
export function answerLocally(
  query: Query,
  network: { table: NameTable; subnet: Subnet },
): Buffer | undefined {
  const { subnet, table } = network;
  if (table.knows(query.name)) {
    const isAsked = query.type === 'A' || query.type === 'ANY';
    const wanted = isAsked ? table.addressesOf(query.name) : [];
    // With no record of the type the answer is empty: there is the name, but not this of it
    return reply(
      query,
      wanted.map((data) => record(query.name, 'A', data)),
    );
  }
  const address = reversed(query.name);
  if (address === undefined || !holds(subnet, parseAddress(address) ?? 0)) return undefined;
  const name = table.nameOf(address);
  if (name === undefined) return refusal(query, NAME_ERROR);
  const isAsked = query.type === 'PTR' || query.type === 'ANY';
  return reply(query, isAsked ? [record(query.name, 'PTR', name)] : []);
}

/** An answer without records. */
export function refusal(query: Query | { id: number }, code: ResponseCode): Buffer {
  const asked = 'question' in query ? query : undefined;
  const recursion = asked?.isRecursive === true ? RECURSION_DESIRED : 0;
  return encode({
    type: 'response',
    id: query.id,
    flags: recursion | RECURSION_AVAILABLE | code,
    questions: asked === undefined ? [] : [asked.question],
  });
}

/** An answer as it fits the asker's UDP: whole, or a word that TCP has more. */
export function fitUdp(query: Query, answer: Buffer): Buffer {
  if (answer.length <= query.udpBytesMax) return answer;
  const recursion = query.isRecursive ? RECURSION_DESIRED : 0;
  return encode({
    type: 'response',
    id: query.id,
    flags: recursion | RECURSION_AVAILABLE | TRUNCATED,
    questions: [query.question],
  });
}

function reply(query: Query, answers: Answer[]): Buffer {
  const recursion = query.isRecursive ? RECURSION_DESIRED : 0;
  return encode({
    type: 'response',
    id: query.id,
    flags: AUTHORITATIVE_ANSWER | recursion | RECURSION_AVAILABLE,
    questions: [query.question],
    answers,
  });
}

function record(name: string, type: 'A' | 'PTR', data: string): Answer {
  return { name, type, class: 'IN', ttl: TTL_SECONDS, data };
}

function reversed(name: string): string | undefined {
  const match = REVERSE.exec(name);
  return match === null ? undefined : [match[4], match[3], match[2], match[1]].join('.');
}

function udpBytes(packet: DecodedPacket): number {
  const option = packet.additionals?.find((one) => one.type === 'OPT');
  const said = option?.type === 'OPT' ? option.udpPayloadSize : 0;
  return Math.min(UDP_BYTES_MAX, Math.max(UDP_BYTES_MIN, said));
}
