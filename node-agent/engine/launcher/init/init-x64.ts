import { syscallNumbers } from '../../kernel/syscall-numbers.ts';
import type { Instruction, Register } from './init-code.ts';

/** Numbers of the registers: System V ABI for x86-64, A.2.1 for system calls. */
const REGISTERS: Readonly<Record<Register, number>> = {
  result: 0,
  argument0: 7,
  argument1: 6,
  argument2: 2,
  argument3: 10,
  status: 3,
  signal: 5,
};
const NUMBERS = syscallNumbers('x64');

/** Where an instruction lies, and where labels are. */
export interface Place {
  at: number;
  labels: ReadonlyMap<string, number>;
}

/** One instruction as bytes; its length does not depend on `place`. Intel SDM, volume 2. */
export function encodeX64(instruction: Instruction, place: Place): Buffer {
  switch (instruction.op) {
    case 'label':
      return Buffer.alloc(0);
    case 'set':
      return set(REGISTERS[instruction.to], instruction.value);
    case 'setWordAddress':
      // mov r64, rsp
      return Buffer.from([0x48, 0x89, 0xe0 | low(instruction.to)]);
    case 'loadWord':
      // mov r32, [rsp]
      return Buffer.from([0x8b, 0x04 | (low(instruction.to) << 3), 0x24]);
    case 'lowBits':
      return Buffer.concat([
        move(instruction.to, instruction.from),
        Buffer.from([0x83, 0xe0 | low(instruction.to), (1 << instruction.count) - 1]),
      ]);
    case 'shiftRight':
      return Buffer.concat([
        move(instruction.to, instruction.from),
        Buffer.from([0xc1, 0xe8 | low(instruction.to), instruction.count]),
      ]);
    case 'add':
      return Buffer.concat([
        move(instruction.to, instruction.from),
        Buffer.from([0x81, 0xc0 | low(instruction.to)]),
        word(instruction.value),
      ]);
    case 'call':
      return Buffer.concat([
        set(REGISTERS.result, NUMBERS.get(instruction.name) ?? -1),
        Buffer.from([0x0f, 0x05]),
      ]);
    case 'jumpIf':
      // cmp r64, imm32; je rel32
      return Buffer.concat([
        Buffer.from([0x48, 0x81, 0xf8 | low(instruction.register)]),
        word(instruction.equals),
        Buffer.from([0x0f, 0x84]),
        word(distance(instruction.label, place, 13)),
      ]);
    case 'jump':
      return Buffer.concat([Buffer.from([0xe9]), word(distance(instruction.label, place, 5))]);
  }
}

/** mov r64, imm32 with its sign extended; the REX prefix holds the fourth bit of the register. */
function set(register: number, value: number): Buffer {
  const rex = register < 8 ? 0x48 : 0x49;
  return Buffer.concat([Buffer.from([rex, 0xc7, 0xc0 | (register & 7)]), word(value)]);
}

/** mov r32, r32 */
function move(to: Register, from: Register): Buffer {
  return Buffer.from([0x89, 0xc0 | (low(from) << 3) | low(to)]);
}

/** Number of a register that needs no prefix. */
function low(register: Register): number {
  const number = REGISTERS[register];
  if (number > 7) throw new Error(`no short form for register ${number}`);
  return number;
}

/** Jumps count from the end of their instruction. */
function distance(label: string, place: Place, length: number): number {
  return (place.labels.get(label) ?? place.at) - (place.at + length);
}

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}
