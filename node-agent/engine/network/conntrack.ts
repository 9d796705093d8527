import { read, write } from 'node:fs';
import { constants } from 'node:os';
import { promisify } from 'node:util';
import {
  AF_INET,
  AF_NETLINK,
  NETLINK_NETFILTER,
  SOCK_CLOEXEC,
  SOCK_RAW,
} from '../kernel/linux-constants.ts';
import { syscalls } from '../kernel/syscalls.ts';

/** linux/netlink.h, linux/netfilter/nfnetlink.h, nfnetlink_conntrack.h. */
const NLM_F_REQUEST = 1;
const NLM_F_ACK = 4;
const NLMSG_ERROR = 2;
const NLA_F_NESTED = 0x8000;
const CT_DELETE = (1 << 8) | 2;
const CTA_TUPLE_ORIG = 1;
const CTA_TUPLE_REPLY = 2;
const CTA_TUPLE_IP = 1;
const CTA_IP_V4_SRC = 1;
const CTA_FILTER = 25;
const CTA_FILTER_ORIG_FLAGS = 1;
const CTA_FILTER_REPLY_FLAGS = 2;
const CTA_FILTER_F_IP_SRC = 1;
const HEADER_BYTES = 16;
const ANSWER_BYTES = 4096;

const writeLater = promisify(write);
const readLater = promisify(read);

/**
 * Makes the kernel forget every connection that these addresses began or answered, so that their next
 * holders inherit none. It looks through all connections of the host for each, which may be many:
 * other threads than this one do it. @throws Error where the kernel cannot
 */
export async function forgetConnections(addresses: readonly string[]): Promise<void> {
  const socket = syscalls.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
  try {
    for (const address of addresses) {
      for (const tuple of [CTA_TUPLE_ORIG, CTA_TUPLE_REPLY] as const) {
        const errno = await request(socket, deleteMessage(tuple, address));
        if (errno !== 0 && errno !== constants.errno.ENOENT) {
          throw new Error(`the kernel refuses to forget connections of ${address}: errno ${errno}`);
        }
      }
    }
  } finally {
    syscalls.close(socket);
  }
}

/** Errno of the kernel's answer. */
async function request(socket: number, message: Buffer): Promise<number> {
  await writeLater(socket, message);
  const answer = Buffer.alloc(ANSWER_BYTES);
  const { bytesRead, buffer } = await readLater(socket, answer, 0, ANSWER_BYTES, null);
  return errorOf(buffer.subarray(0, bytesRead));
}

/** A request to delete all connections with this source in one of their two directions. */
function deleteMessage(
  tuple: typeof CTA_TUPLE_ORIG | typeof CTA_TUPLE_REPLY,
  address: string,
): Buffer {
  const source = attribute(CTA_IP_V4_SRC, Buffer.from(address.split('.').map(Number)));
  const flags = (wanted: boolean): Buffer => {
    const data = Buffer.alloc(4);
    data.writeUInt32LE(wanted ? CTA_FILTER_F_IP_SRC : 0);
    return data;
  };
  const body = Buffer.concat([
    // struct nfgenmsg
    Buffer.from([AF_INET, 0, 0, 0]),
    nested(tuple, nested(CTA_TUPLE_IP, source)),
    nested(
      CTA_FILTER,
      attribute(CTA_FILTER_ORIG_FLAGS, flags(tuple === CTA_TUPLE_ORIG)),
      attribute(CTA_FILTER_REPLY_FLAGS, flags(tuple === CTA_TUPLE_REPLY)),
    ),
  ]);
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32LE(HEADER_BYTES + body.length, 0);
  header.writeUInt16LE(CT_DELETE, 4);
  header.writeUInt16LE(NLM_F_REQUEST | NLM_F_ACK, 6);
  header.writeUInt32LE(tuple, 8);
  return Buffer.concat([header, body]);
}

/** Errno of an acknowledgement; 0 for success. */
function errorOf(message: Buffer): number {
  const isError = message.length >= HEADER_BYTES + 4 && message.readUInt16LE(4) === NLMSG_ERROR;
  return isError ? -message.readInt32LE(HEADER_BYTES) : 0;
}

function nested(type: number, ...parts: Buffer[]): Buffer {
  return attribute(type | NLA_F_NESTED, Buffer.concat(parts));
}

/** struct nlattr: length and type of 16 bits each, payload, padding to 4 bytes. */
function attribute(type: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(4);
  header.writeUInt16LE(4 + payload.length, 0);
  header.writeUInt16LE(type, 2);
  return Buffer.concat([header, payload, Buffer.alloc((4 - (payload.length % 4)) % 4)]);
}
