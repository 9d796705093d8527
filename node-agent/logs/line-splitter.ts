const NEWLINE = 0x0a;
const RETURN = 0x0d;

/**
 * Turns chunks of output into lines of text: cut at newlines and, where a line is longer, at
 * `lineBytesMax` on a character's border. Bytes that are not UTF-8 become U+FFFD.
 */
export class LineSplitter {
  readonly #lineBytesMax: number;
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  #rest: Buffer = Buffer.alloc(0);

  constructor(lineBytesMax: number) {
    this.#lineBytesMax = lineBytesMax;
  }

  /** The lines that `chunk` completes. */
  push(chunk: Buffer): string[] {
    let data = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const lines: string[] = [];
    for (;;) {
      const newline = data.indexOf(NEWLINE);
      if (newline >= 0 && newline <= this.#lineBytesMax) {
        lines.push(this.#text(data.subarray(0, newline)));
        data = data.subarray(newline + 1);
      } else if (data.length > this.#lineBytesMax) {
        const end = borderBefore(data, this.#lineBytesMax);
        lines.push(this.#text(data.subarray(0, end)));
        data = data.subarray(end);
      } else break;
    }
    this.#rest = Buffer.from(data);
    return lines;
  }

  /** What is left without a newline; undefined when nothing is. */
  flush(): string | undefined {
    if (this.#rest.length === 0) return undefined;
    const text = this.#text(this.#rest);
    this.#rest = Buffer.alloc(0);
    return text;
  }

  #text(bytes: Buffer): string {
    const isCrLf = bytes.length > 0 && bytes[bytes.length - 1] === RETURN;
    return this.#decoder.decode(isCrLf ? bytes.subarray(0, -1) : bytes);
  }
}

/** The last start of a UTF-8 character at or before `index`; a sequence is 4 bytes at most. */
function borderBefore(data: Buffer, index: number): number {
  for (let at = index; at > index - 4; at--) {
    if (((data[at] ?? 0) & 0xc0) !== 0x80) return at;
  }
  return index;
}
