import { syscallNumbers } from '../../kernel/syscall-numbers.ts';
import type { Instruction, Register } from './init-code.ts';
import type { Place } from './init-x64.ts';

/** Numbers of the registers: syscall(2), "Architecture calling conventions". */
const REGISTERS: Readonly<Record<Register, number>> = {
  result: 0,
  argument0: 0,
  argument1: 1,
  argument2: 2,
  argument3: 3,
  status: 19,
  signal: 20,
};
const NUMBER_REGISTER = 8;
const STACK_POINTER = 31;
const NUMBERS = syscallNumbers('arm64');

/** One instruction as bytes. Arm Architecture Reference Manual, C6.2. */
export function encodeArm64(instruction: Instruction, place: Place): Buffer {
  return words(wordsOf(instruction, place));
}

function wordsOf(instruction: Instruction, place: Place): number[] {
  switch (instruction.op) {
    case 'label':
      return [];
    case 'set':
      return [move(REGISTERS[instruction.to], instruction.value)];
    case 'setWordAddress':
      // add Xd, sp, #0
      return [0x91000000 | (STACK_POINTER << 5) | REGISTERS[instruction.to]];
    case 'loadWord':
      // ldr Wt, [sp]
      return [0xb9400000 | (STACK_POINTER << 5) | REGISTERS[instruction.to]];
    case 'lowBits':
      // and Wd, Wn, #ones(count)
      return [0x12000000 | ((instruction.count - 1) << 10) | between(instruction)];
    case 'shiftRight':
      // ubfm Wd, Wn, #count, #31
      return [0x53007c00 | (instruction.count << 16) | between(instruction)];
    case 'add':
      // add Wd, Wn, #value
      return [0x11000000 | (instruction.value << 10) | between(instruction)];
    case 'call':
      // svc #0
      return [move(NUMBER_REGISTER, NUMBERS.get(instruction.name) ?? -1), 0xd4000001];
    case 'jumpIf':
      return [
        compare(REGISTERS[instruction.register], instruction.equals),
        // b.eq
        0x54000000 | ((distance(instruction.label, place, 4) & 0x7ffff) << 5),
      ];
    case 'jump':
      return [0x14000000 | (distance(instruction.label, place, 0) & 0x3ffffff)];
  }
}

/** movz Xd, #value, or movn Xd, #~value */
function move(register: number, value: number): number {
  return value < 0 ? 0x92800000 | (~value << 5) | register : 0xd2800000 | (value << 5) | register;
}

/** cmp Xn, #value, or cmn Xn, #-value: comparisons write to the zero register. */
function compare(register: number, value: number): number {
  const base = value < 0 ? 0xb100001f : 0xf100001f;
  return base | (Math.abs(value) << 10) | (register << 5);
}

function between(registers: { to: Register; from: Register }): number {
  return (REGISTERS[registers.from] << 5) | REGISTERS[registers.to];
}

/** In instructions, from the jump itself, which lies `offset` bytes behind `place`. */
function distance(label: string, place: Place, offset: number): number {
  return ((place.labels.get(label) ?? place.at) - (place.at + offset)) / 4;
}

function words(values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  values.forEach((value, n) => {
    bytes.writeUInt32LE(value >>> 0, 4 * n);
  });
  return bytes;
}
