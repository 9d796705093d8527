import type { EngineArch } from '../kernel/syscall-numbers.ts';
import {
  ALLOWED_SYSCALLS,
  type ArgumentRule,
  type Condition,
  LISTENER_RULES,
  MISSING_SYSCALLS,
  SECCOMP_RULES,
} from '../seccomp/seccomp-table.ts';
import type { SeccompArgument, SeccompCalls, SeccompProfile } from './runtime-config.ts';

const ALLOW = 'SCMP_ACT_ALLOW';
const ERRNO = 'SCMP_ACT_ERRNO';
const MASKED_EQ = 'SCMP_CMP_MASKED_EQ';
const [EPERM, ENOSYS] = [1, 38];
const ALL_BITS = 0xffffffff;

const ARCHITECTURES: Readonly<Record<EngineArch, string>> = {
  x64: 'SCMP_ARCH_X86_64',
  arm64: 'SCMP_ARCH_AARCH64',
};

/**
 * The engine's own filter (`containerFilter`) as an OCI profile, from the same table. A runtime's
 * library compares all 64 bits of an argument where the kernel reads 32, so that every comparison is
 * a masked one; it knows no masked "not equal", so that what is refused by value is allowed by the
 * complement: the numbers that differ from it at each bit in turn.
 */
export function seccompProfile(arch: EngineArch, { listener = false } = {}): SeccompProfile {
  const rules = listener ? { ...SECCOMP_RULES, ...LISTENER_RULES } : SECCOMP_RULES;
  const free = ALLOWED_SYSCALLS.filter((name) => rules[name] === undefined);
  return {
    defaultAction: ERRNO,
    defaultErrnoRet: EPERM,
    architectures: [ARCHITECTURES[arch]],
    syscalls: [
      { names: [...free].sort(), action: ALLOW },
      ...Object.entries(rules).flatMap(([name, rule]) => ruleCalls(name, rule)),
      { names: [...MISSING_SYSCALLS], action: ERRNO, errnoRet: ENOSYS },
    ],
  };
}

/** One entry an alternative: entries of the same name are joined by "or", arguments by "and". */
function ruleCalls(name: string, rule: ArgumentRule): SeccompCalls[] {
  const alternatives = (rule.allowIf ?? []).flatMap(argumentLists);
  const complement = rule.refuseIf === undefined ? [] : allowedBeside(rule.refuseIf);
  return [...alternatives, ...complement].map((args) => ({ names: [name], action: ALLOW, args }));
}

/** Every choice of one value a condition. */
function argumentLists(conditions: readonly Condition[]): SeccompArgument[][] {
  return conditions.reduce<SeccompArgument[][]>(
    (lists, { argument, mask = ALL_BITS, oneOf }) =>
      lists.flatMap((list) => oneOf.map((value) => [...list, equals(argument, mask, value)])),
    [[]],
  );
}

function equals(index: number, mask: number, value: number): SeccompArgument {
  return { index, value: mask >>> 0, valueTwo: value >>> 0, op: MASKED_EQ };
}

/** A block of 32-bit numbers: those that begin with the first `length` bits of `value`. */
interface Block {
  value: number;
  length: number;
}

/** All conditions are on the same argument, by masks that keep the upper bits. */
function allowedBeside(refused: readonly Condition[]): SeccompArgument[][] {
  const [first] = refused;
  if (first === undefined || refused.some(({ argument }) => argument !== first.argument)) {
    throw new Error('refused values must be of one argument');
  }
  const blocks = refused.flatMap(({ mask = ALL_BITS, oneOf }) =>
    oneOf.map((value) => ({ value, length: prefixLength(mask) })),
  );
  const free = complement({ value: 0, length: 0 }, blocks);
  return free.map(({ value, length }) => [equals(first.argument, prefixMask(length), value)]);
}

/** What is left of `whole` without `blocks`, as blocks. */
function complement(whole: Block, blocks: readonly Block[]): Block[] {
  const inside = blocks.filter((block) => overlaps(whole, block));
  if (inside.length === 0) return [whole];
  if (inside.some((block) => block.length <= whole.length)) return [];
  const length = whole.length + 1;
  const upper = (whole.value | (1 << (32 - length))) >>> 0;
  return [whole.value, upper].flatMap((value) => complement({ value, length }, inside));
}

function overlaps(a: Block, b: Block): boolean {
  const mask = prefixMask(Math.min(a.length, b.length));
  return (a.value & mask) === (b.value & mask);
}

function prefixMask(length: number): number {
  return length === 0 ? 0 : (ALL_BITS << (32 - length)) >>> 0;
}

function prefixLength(mask: number): number {
  const length = Math.clz32(~mask >>> 0);
  if (prefixMask(length) === mask >>> 0) return length;
  throw new Error(`mask 0x${mask.toString(16)} must keep upper bits`);
}
