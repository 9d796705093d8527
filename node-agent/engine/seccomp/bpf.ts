/**
 * Classic BPF as seccomp(2) takes it: 8 bytes an instruction (code, jt, jf, k), jumps forward only,
 * conditional ones by at most 255.
 */
export interface Instruction {
  code: number;
  jt: number;
  jf: number;
  k: number;
}

/** linux/filter.h, bpf_common.h: the few instructions the filters need. */
export const BPF_LD_W_ABS = 0x20;
export const BPF_JMP_JA = 0x05;
export const BPF_JMP_JEQ = 0x15;
export const BPF_JMP_JGE = 0x35;
export const BPF_ALU_AND = 0x54;
export const BPF_RET = 0x06;

/** Most instructions the kernel takes: BPF_MAXINSNS. */
export const BPF_INSTRUCTIONS_MAX = 4096;

/** Loads the 32-bit word at `offset` of struct seccomp_data. */
export function load(offset: number): Instruction {
  return { code: BPF_LD_W_ABS, jt: 0, jf: 0, k: offset };
}

/** Ends with an action. */
export function ret(action: number): Instruction {
  return { code: BPF_RET, jt: 0, jf: 0, k: action };
}

/** Skips `jt` instructions if the comparison holds, else `jf`. */
export function jump(code: number, k: number, skip: { jt: number; jf: number }): Instruction {
  return { code, jt: skip.jt, jf: skip.jf, k: k >>> 0 };
}

/** Instructions as the kernel reads them, little endian. */
export function assemble(program: readonly Instruction[]): Buffer {
  if (program.length > BPF_INSTRUCTIONS_MAX) {
    throw new Error(`filter must have <= ${BPF_INSTRUCTIONS_MAX} instructions: ${program.length}`);
  }
  const bytes = Buffer.alloc(8 * program.length);
  program.forEach(({ code, jt, jf, k }, n) => {
    bytes.writeUInt16LE(code, 8 * n);
    bytes.writeUInt8(jt, 8 * n + 2);
    bytes.writeUInt8(jf, 8 * n + 3);
    bytes.writeUInt32LE(k, 8 * n + 4);
  });
  return bytes;
}
