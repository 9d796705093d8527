/** What the first bytes of a file say; `unsupported`: an archive that Docker would unpack. */
export type ArchiveType = 'tar' | 'gzip' | 'zstd' | 'unsupported' | 'none';

const SIGNATURES: readonly [type: ArchiveType, offset: number, bytes: number[]][] = [
  ['gzip', 0, [0x1f, 0x8b]],
  ['zstd', 0, [0x28, 0xb5, 0x2f, 0xfd]],
  ['unsupported', 0, [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ['unsupported', 0, [0x42, 0x5a, 0x68]],
  // "ustar", POSIX.1-2017 pax
  ['tar', 257, [0x75, 0x73, 0x74, 0x61, 0x72]],
];

/** Docker tells an archive by its content, not by its name (Docker's reference, ADD). */
export function archiveTypeOf(head: Uint8Array): ArchiveType {
  for (const [type, offset, bytes] of SIGNATURES) {
    if (bytes.every((byte, index) => head[offset + index] === byte)) return type;
  }
  return 'none';
}
