/** Cuts a stream into packets: each has its length before it, as 16 bits (RFC 1035 4.2.2). */
export class StreamFrames {
  #rest: Buffer = Buffer.alloc(0);

  /** Packets that are whole by now. What is kept is never more than one packet. */
  push(chunk: Buffer): Buffer[] {
    let rest = Buffer.concat([this.#rest, chunk]);
    const packets: Buffer[] = [];
    while (rest.length >= 2) {
      const length = rest.readUInt16BE(0);
      if (rest.length < 2 + length) break;
      packets.push(rest.subarray(2, 2 + length));
      rest = rest.subarray(2 + length);
    }
    this.#rest = rest;
    return packets;
  }
}

/** A packet as it stands in a stream. */
export function frame(packet: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(packet.length);
  return Buffer.concat([length, packet]);
}
