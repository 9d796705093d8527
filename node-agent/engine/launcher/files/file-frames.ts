/**
 * Frames between the engine and a file service: 4 bytes length (little endian), 1 byte kind,
 * payload. Names and link targets are bytes on Linux; JSON carries each byte as one character
 * (latin1), so that every name comes back as it was.
 */
const HEADER_BYTES = 5;

/** Bytes of a file in one frame at most; the size a pipe holds. */
export const FILE_DATA_BYTES_MAX = 65_536;
/** JSON of one entry at most: a path and a link's target, escaped. */
const PAYLOAD_BYTES_MAX = 128 * 1024;

/** What is at a path. */
export interface FileEntry {
  /** Below the folder or file asked for, without a slash at either end; empty for that itself. */
  path: string;
  type: 'file' | 'directory' | 'symlink' | 'link' | 'other';
  /** With the type's bits, as stat(2) has them. */
  mode: number;
  uid: number;
  gid: number;
  mtimeMs: number;
  /** Bytes that follow in `data` frames, of a `file`. */
  sizeBytes: number;
  /** Target of a `symlink`; of a `link`, the path of the entry it is another name of. */
  target?: string;
}

/** Why a file service gave up. */
export interface FileFailure {
  /** Errno name; `ERR` for what is not the kernel's refusal. */
  errno: string;
  path: string;
  message: string;
}

export type FileFrame =
  | { kind: 'entry'; entry: FileEntry }
  | { kind: 'data'; data: Buffer }
  | { kind: 'failure'; failure: FileFailure }
  | { kind: 'end' };

const KINDS = ['entry', 'data', 'failure', 'end'] as const;

/** One frame as bytes. */
export function encodeFileFrame(frame: FileFrame): Buffer {
  const payload = payloadOf(frame);
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + payload.length);
  bytes.writeUInt32LE(payload.length, 0);
  bytes.writeUInt8(KINDS.indexOf(frame.kind), 4);
  payload.copy(bytes, HEADER_BYTES);
  return bytes;
}

function payloadOf(frame: FileFrame): Buffer {
  if (frame.kind === 'data') return frame.data;
  if (frame.kind === 'entry') return Buffer.from(JSON.stringify(frame.entry));
  return frame.kind === 'failure' ? Buffer.from(JSON.stringify(frame.failure)) : Buffer.alloc(0);
}

/** Cuts a byte stream into frames; keeps what is not whole yet. */
export class FileFrameReader {
  #held: Buffer = Buffer.alloc(0);

  /** The frames that `chunk` completes. @throws Error for what is no frame */
  *push(chunk: Buffer): Generator<FileFrame> {
    this.#held = this.#held.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#held, chunk]);
    while (this.#held.length >= HEADER_BYTES) {
      const length = this.#held.readUInt32LE(0);
      if (length > PAYLOAD_BYTES_MAX) throw new Error(`file frame too large: ${length} bytes`);
      if (this.#held.length < HEADER_BYTES + length) return;
      const kind = KINDS[this.#held.readUInt8(4)];
      const payload = this.#held.subarray(HEADER_BYTES, HEADER_BYTES + length);
      this.#held = this.#held.subarray(HEADER_BYTES + length);
      yield decode(kind, payload);
    }
  }
}

function decode(kind: (typeof KINDS)[number] | undefined, payload: Buffer): FileFrame {
  switch (kind) {
    case 'data':
      return { kind, data: payload };
    case 'entry':
      return { kind, entry: JSON.parse(payload.toString()) as FileEntry };
    case 'failure':
      return { kind, failure: JSON.parse(payload.toString()) as FileFailure };
    case 'end':
      return { kind };
    default:
      throw new Error('file frame of no known kind');
  }
}
