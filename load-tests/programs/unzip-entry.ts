import { inflateRawSync } from 'node:zlib';

/** Signatures of PKWARE's APPNOTE.TXT, 4.3.16 and 4.3.12. */
const END_OF_DIRECTORY = 0x06054b50;
const DIRECTORY_ENTRY = 0x02014b50;
const END_BYTES = 22;
const ENTRY_BYTES = 46;
const LOCAL_BYTES = 30;

/** One file of a zip archive, stored or deflated. @throws Error when it is not in there */
export function unzipEntry(zip: Buffer, name: string): Buffer {
  const end = zip.lastIndexOf(Buffer.from('PK\x05\x06', 'latin1'));
  if (end < 0 || end + END_BYTES > zip.length || zip.readUInt32LE(end) !== END_OF_DIRECTORY) {
    throw new Error('archive has no zip directory');
  }
  let at = zip.readUInt32LE(end + 16);
  for (let left = zip.readUInt16LE(end + 10); left > 0; left--) {
    if (zip.readUInt32LE(at) !== DIRECTORY_ENTRY) break;
    const nameEnd = at + ENTRY_BYTES + zip.readUInt16LE(at + 28);
    if (zip.toString('utf8', at + ENTRY_BYTES, nameEnd) === name) return contentOf(zip, at);
    at = nameEnd + zip.readUInt16LE(at + 30) + zip.readUInt16LE(at + 32);
  }
  throw new Error(`archive has no file ${name}`);
}

function contentOf(zip: Buffer, entry: number): Buffer {
  const method = zip.readUInt16LE(entry + 10);
  const packedBytes = zip.readUInt32LE(entry + 20);
  const local = zip.readUInt32LE(entry + 42);
  const begin = local + LOCAL_BYTES + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28);
  const packed = zip.subarray(begin, begin + packedBytes);
  if (method === 0) return Buffer.from(packed);
  if (method === 8) return inflateRawSync(packed);
  throw new Error(`archive packs a file by method ${method}, known are 0 and 8`);
}
