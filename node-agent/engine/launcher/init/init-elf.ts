import type { EngineArch } from '../../kernel/syscall-numbers.ts';
import { encodeArm64 } from './init-arm64.ts';
import { INIT, type Instruction } from './init-code.ts';
import { encodeX64, type Place } from './init-x64.ts';

const FILE_HEADER_BYTES = 64;
const PROGRAM_HEADER_BYTES = 56;
const SEGMENTS = 2;
const CODE_AT = FILE_HEADER_BYTES + SEGMENTS * PROGRAM_HEADER_BYTES;
const LOAD_ADDRESS = 0x400000n;
/** The largest page that either machine may have. */
const ALIGN = 0x10000n;

/** Native code as bytes that run wherever they lie. */
export function assembleFor(arch: EngineArch, code: readonly Instruction[]): Buffer {
  return assemble(code, ENCODERS[arch]);
}

const ENCODERS = { x64: encodeX64, arm64: encodeArm64 };
/** e_machine: EM_X86_64, EM_AARCH64. */
const MACHINES = { x64: 62, arm64: 183 };

const [ET_EXEC, EV_CURRENT, PT_LOAD, PT_GNU_STACK] = [2, 1, 1, 0x6474e551];
const [PF_X, PF_W, PF_R] = [1, 2, 4];

/** Init as a static program of some 300 bytes: elf(5), 64 bits, little endian. */
export function initProgram(arch: EngineArch): Buffer {
  const code = assemble(INIT, ENCODERS[arch]);
  const size = BigInt(CODE_AT + code.length);
  return Buffer.concat([
    fileHeader(MACHINES[arch]),
    programHeader({ type: PT_LOAD, flags: PF_R | PF_X, address: LOAD_ADDRESS, size }),
    // Without it the kernel would make the stack executable
    programHeader({ type: PT_GNU_STACK, flags: PF_R | PF_W, address: 0n, size: 0n }),
    code,
  ]);
}

/** Twice: the first time only for where the labels are. */
function assemble(
  code: readonly Instruction[],
  encode: (instruction: Instruction, place: Place) => Buffer,
): Buffer {
  const labels = new Map<string, number>();
  const pass = (): Buffer[] => {
    let at = 0;
    return code.map((instruction) => {
      if (instruction.op === 'label') labels.set(instruction.label, at);
      const bytes = encode(instruction, { at, labels });
      at += bytes.length;
      return bytes;
    });
  };
  pass();
  return Buffer.concat(pass());
}

function fileHeader(machine: number): Buffer {
  const header = Buffer.alloc(FILE_HEADER_BYTES);
  // Class 64 bits, little endian, version
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, EV_CURRENT]);
  header.writeUInt16LE(ET_EXEC, 16);
  header.writeUInt16LE(machine, 18);
  header.writeUInt32LE(EV_CURRENT, 20);
  header.writeBigUInt64LE(LOAD_ADDRESS + BigInt(CODE_AT), 24);
  header.writeBigUInt64LE(BigInt(FILE_HEADER_BYTES), 32);
  header.writeUInt16LE(FILE_HEADER_BYTES, 52);
  header.writeUInt16LE(PROGRAM_HEADER_BYTES, 54);
  header.writeUInt16LE(SEGMENTS, 56);
  return header;
}

function programHeader(segment: {
  type: number;
  flags: number;
  address: bigint;
  size: bigint;
}): Buffer {
  const header = Buffer.alloc(PROGRAM_HEADER_BYTES);
  header.writeUInt32LE(segment.type, 0);
  header.writeUInt32LE(segment.flags, 4);
  header.writeBigUInt64LE(segment.address, 16);
  header.writeBigUInt64LE(segment.address, 24);
  header.writeBigUInt64LE(segment.size, 32);
  header.writeBigUInt64LE(segment.size, 40);
  header.writeBigUInt64LE(ALIGN, 48);
  return header;
}
