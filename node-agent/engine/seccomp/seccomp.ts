import { type EngineArch, syscallNumbers } from '../kernel/syscall-numbers.ts';
import {
  assemble,
  BPF_ALU_AND,
  BPF_JMP_JA,
  BPF_JMP_JEQ,
  BPF_JMP_JGE,
  type Instruction,
  jump,
  load,
  ret,
} from './bpf.ts';
import {
  ALLOWED_SYSCALLS,
  type ArgumentRule,
  type Condition,
  LISTENER_RULES,
  MISSING_SYSCALLS,
  SECCOMP_RULES,
} from './seccomp-table.ts';

/** linux/seccomp.h: what a filter answers. */
export const SECCOMP_RET_KILL_PROCESS = 0x80000000;
export const SECCOMP_RET_ERRNO = 0x00050000;
export const SECCOMP_RET_ALLOW = 0x7fff0000;

/** linux/audit.h. */
export const AUDIT_ARCH: Readonly<Record<EngineArch, number>> = {
  x64: 0xc000003e,
  arm64: 0xc00000b7,
};

const [EPERM, ENOSYS] = [1, 38];
const REFUSE = SECCOMP_RET_ERRNO | EPERM;
const MISSING = SECCOMP_RET_ERRNO | ENOSYS;
const X32_SYSCALL_BIT = 0x40000000;
const NUMBER_OFFSET = 0;
const ARCH_OFFSET = 4;
const ARGUMENTS_OFFSET = 16;
const MADV_DONTFORK = 10;

/** What happens to a syscall: an action at once, or instructions that look at its arguments. */
type Verdict = number | readonly Instruction[];

/** Syscall numbers from `first` up to the next range's. */
interface Range {
  first: number;
  verdict: Verdict;
}

/**
 * The filter of every container: functions and build steps alike, with `listener` for those that
 * are given a listening socket. Architecture first (a 32-bit entry has other numbers), then x32,
 * then a binary search over the ranges of numbers, about eight comparisons a syscall.
 */
export function containerFilter(arch: EngineArch, { listener = false } = {}): Buffer {
  const rules = listener ? { ...SECCOMP_RULES, ...LISTENER_RULES } : SECCOMP_RULES;
  const search = compileSearch(ranges(arch, rules));
  return assemble([
    ...archCheck(arch),
    load(NUMBER_OFFSET),
    jump(BPF_JMP_JGE, X32_SYSCALL_BIT, { jt: 0, jf: 1 }),
    ret(SECCOMP_RET_KILL_PROCESS),
    ...search,
  ]);
}

/** The launcher's own filter: `madvise(…, MADV_DONTFORK)` is answered "done" and not done. */
export function dontforkFilter(arch: EngineArch): Buffer {
  const madvise = syscallNumbers(arch).get('madvise') ?? 0;
  return assemble([
    load(ARCH_OFFSET),
    jump(BPF_JMP_JEQ, AUDIT_ARCH[arch], { jt: 0, jf: 5 }),
    load(NUMBER_OFFSET),
    jump(BPF_JMP_JEQ, madvise, { jt: 0, jf: 3 }),
    load(argumentOffset(2)),
    jump(BPF_JMP_JEQ, MADV_DONTFORK, { jt: 0, jf: 1 }),
    ret(SECCOMP_RET_ERRNO),
    ret(SECCOMP_RET_ALLOW),
  ]);
}

function archCheck(arch: EngineArch): Instruction[] {
  return [
    load(ARCH_OFFSET),
    jump(BPF_JMP_JEQ, AUDIT_ARCH[arch], { jt: 1, jf: 0 }),
    ret(SECCOMP_RET_KILL_PROCESS),
  ];
}

/** Low half of a 64-bit argument, on little endian machines. */
function argumentOffset(argument: number): number {
  return ARGUMENTS_OFFSET + 8 * argument;
}

type Rules = Readonly<Record<string, ArgumentRule>>;

const ALLOWED: ReadonlySet<string> = new Set(ALLOWED_SYSCALLS);

function verdictOf(name: string, rules: Rules): Verdict {
  if (MISSING_SYSCALLS.includes(name)) return MISSING;
  const rule = rules[name];
  if (rule !== undefined) return compileRule(rule);
  return ALLOWED.has(name) ? SECCOMP_RET_ALLOW : REFUSE;
}

/** All numbers from 0 on, neighbours with the same action joined. */
function ranges(arch: EngineArch, rules: Rules): Range[] {
  const sorted = [...syscallNumbers(arch)].sort((a, b) => a[1] - b[1]);
  const found: Range[] = [{ first: 0, verdict: REFUSE }];
  let next = 0;
  for (const [name, number] of sorted) {
    if (number > next) append(found, { first: next, verdict: REFUSE });
    append(found, { first: number, verdict: verdictOf(name, rules) });
    next = number + 1;
  }
  append(found, { first: next, verdict: REFUSE });
  return found;
}

function append(found: Range[], range: Range): void {
  const last = found.at(-1);
  if (last?.first === range.first) found.pop();
  const before = found.at(-1);
  if (before === undefined || before.verdict !== range.verdict) found.push(range);
}

function compileSearch(found: readonly Range[]): Instruction[] {
  const [only] = found;
  if (only === undefined) return [ret(REFUSE)];
  if (found.length === 1) {
    return typeof only.verdict === 'number' ? [ret(only.verdict)] : [...only.verdict];
  }
  const middle = Math.floor(found.length / 2);
  const left = compileSearch(found.slice(0, middle));
  const right = compileSearch(found.slice(middle));
  const split = found[middle]?.first ?? 0;
  if (left.length <= 255) {
    return [jump(BPF_JMP_JGE, split, { jt: left.length, jf: 0 }), ...left, ...right];
  }
  const far: Instruction = { code: BPF_JMP_JA, jt: 0, jf: 0, k: left.length };
  return [jump(BPF_JMP_JGE, split, { jt: 0, jf: 1 }), far, ...left, ...right];
}

function compileRule(rule: ArgumentRule): Instruction[] {
  const instructions: Instruction[] = [];
  for (const condition of rule.refuseIf ?? []) {
    instructions.push(...skipUnless(condition, 1), ret(REFUSE));
  }
  for (const alternative of rule.allowIf ?? []) instructions.push(...compileAll(alternative));
  instructions.push(ret(rule.allowIf === undefined ? SECCOMP_RET_ALLOW : REFUSE));
  return instructions;
}

/** Allows if every condition holds, else falls through behind itself. */
function compileAll(conditions: readonly Condition[]): Instruction[] {
  let code: Instruction[] = [ret(SECCOMP_RET_ALLOW)];
  for (const condition of [...conditions].reverse()) {
    code = [...skipUnless(condition, code.length), ...code];
  }
  return code;
}

/** Goes on with the next instruction if the condition holds, else skips `count` more. */
function skipUnless(condition: Condition, count: number): Instruction[] {
  const { argument, mask, oneOf } = condition;
  const compares = oneOf.map((value, n) => {
    const left = oneOf.length - 1 - n;
    return jump(BPF_JMP_JEQ, value, { jt: left, jf: left === 0 ? count : 0 });
  });
  const masked = mask === undefined ? [] : [{ code: BPF_ALU_AND, jt: 0, jf: 0, k: mask }];
  return [load(argumentOffset(argument)), ...masked, ...compares];
}
