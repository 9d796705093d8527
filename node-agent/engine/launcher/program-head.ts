import type { EngineArch } from '../kernel/syscall-numbers.ts';

/** What the first bytes of a file say of how it would be executed. */
export type ProgramHead =
  /** A script, with its first line and what shall run it. */
  | { kind: 'script'; shebang: string; interpreter: string }
  /** A binary, with its dynamic loader if it has one. */
  | { kind: 'binary'; loader?: string }
  /** Nothing that this machine can execute. */
  | { kind: 'unknown' };

/** e_machine of elf(5): EM_X86_64, EM_AARCH64. */
const MACHINES: Readonly<Record<EngineArch, number>> = { x64: 62, arm64: 183 };
const ELF = Buffer.from('\x7fELF\x02\x01', 'latin1');
const HEADER_BYTES = 64;
const PROGRAM_HEADER_BYTES = 56;
const PT_INTERP = 3;

/** execve(2), "Interpreter scripts"; elf(5). What lies beyond the bytes given is not looked at. */
export function readHead(head: Buffer, arch: EngineArch): ProgramHead {
  if (head.subarray(0, 2).toString('latin1') === '#!') {
    const shebang = head.toString('latin1').split('\n', 1)[0] ?? '';
    const interpreter = /^#![ \t]*([^ \t]*)/.exec(shebang)?.[1] ?? '';
    return { kind: 'script', shebang, interpreter };
  }
  if (head.length < HEADER_BYTES || !head.subarray(0, ELF.length).equals(ELF)) {
    return { kind: 'unknown' };
  }
  if (head.readUInt16LE(18) !== MACHINES[arch]) return { kind: 'unknown' };
  const loader = loaderOf(head);
  return loader === undefined ? { kind: 'binary' } : { kind: 'binary', loader };
}

function loaderOf(head: Buffer): string | undefined {
  const [first, count] = [Number(head.readBigUInt64LE(32)), head.readUInt16LE(56)];
  for (let n = 0; n < count; n++) {
    const at = first + n * PROGRAM_HEADER_BYTES;
    if (at + PROGRAM_HEADER_BYTES > head.length) return undefined;
    if (head.readUInt32LE(at) !== PT_INTERP) continue;
    const offset = Number(head.readBigUInt64LE(at + 8));
    const end = head.indexOf(0, offset);
    return offset < head.length && end !== -1 ? head.toString('latin1', offset, end) : undefined;
  }
  return undefined;
}
