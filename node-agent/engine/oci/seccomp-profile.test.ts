import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type EngineArch, syscallNumbers } from '../kernel/syscall-numbers.ts';
import { AUDIT_ARCH, containerFilter } from '../seccomp/seccomp.ts';
import { interpret } from '../testing/bpf-machine.ts';
import type { SeccompProfile } from './runtime-config.ts';
import { seccompProfile } from './seccomp-profile.ts';

/** What libseccomp does with such a profile: entries by "or", arguments of one by "and". */
function judge(profile: SeccompProfile, name: string, args: readonly bigint[]): string {
  for (const { names, action, args: conditions = [], errnoRet } of profile.syscalls) {
    if (!names.includes(name)) continue;
    const holds = conditions.every(({ index, value, valueTwo, op }) => {
      assert.equal(op, 'SCMP_CMP_MASKED_EQ');
      return ((args[index] ?? 0n) & BigInt(value)) === BigInt(valueTwo);
    });
    if (holds) return action === 'SCMP_ACT_ALLOW' ? 'allow' : `errno ${errnoRet}`;
  }
  return `errno ${profile.defaultErrnoRet}`;
}

function judgeFilter(filter: Buffer, arch: EngineArch, call: { nr: number; args: bigint[] }) {
  const action = interpret(filter, { ...call, arch: AUDIT_ARCH[arch] });
  return action === 0x7fff0000 ? 'allow' : `errno ${action - 0x50000}`;
}

const CASES: readonly (readonly bigint[])[] = [
  [],
  ...[1n, 2n, 10n, 16n, 17n, 38n, 40n].flatMap((family) =>
    [1n, 2n, 3n, 0x80801n, 0x80803n].flatMap((type) => [0n, 6n, 12n].map((p) => [family, type, p])),
  ),
  ...[0x5412n, 0x541cn, 0x1_0000_5412n, 0x5413n, 0x8910n, 0x89ffn, 0x8a00n, 0x890fn].map((r) => [
    0n,
    r,
  ]),
  ...[0x10000000n | 17n, 0x3d0f00n, 0x20000n, 0x2_0000_0000n, 8n, 0x20008n, 0xffffffffn].map(
    (flags) => [flags],
  ),
];

for (const arch of ['x64', 'arm64'] as const) {
  for (const listener of [false, true]) {
    test(`profile and filter judge every syscall alike on ${arch}, listener ${listener}`, () => {
      const [profile, filter] = [
        seccompProfile(arch, { listener }),
        containerFilter(arch, { listener }),
      ];
      for (const [name, nr] of syscallNumbers(arch)) {
        for (const args of CASES) {
          const call = { nr, args: [...args] };
          assert.equal(
            judge(profile, name, args),
            judgeFilter(filter, arch, call),
            `${name} ${args}`,
          );
        }
      }
    });
  }
}

test('profile and filter judge any arguments alike', () => {
  const names = ['ioctl', 'socket', 'clone', 'personality', 'socketpair'];
  const [profile, filter] = [
    seccompProfile('x64', { listener: true }),
    containerFilter('x64', { listener: true }),
  ];
  const numbers = syscallNumbers('x64');
  const argument = fc.oneof(fc.bigInt(0n, 0xffff_ffff_ffff_ffffn), fc.bigInt(0x5400n, 0x8b00n));
  const property = fc.property(
    fc.constantFrom(...names),
    fc.array(argument, { minLength: 3, maxLength: 3 }),
    (name, args) => {
      const call = { nr: numbers.get(name) ?? -1, args };
      assert.equal(judge(profile, name, args), judgeFilter(filter, 'x64', call));
    },
  );
  fc.assert(property, { numRuns: 2000 });
});

test('entries of one syscall that look at the same argument exclude each other', () => {
  const profile = seccompProfile('x64', { listener: true });
  const ioctl = profile.syscalls.filter(({ names }) => names.includes('ioctl'));
  assert.ok(ioctl.length > 30 && ioctl.length < 100, String(ioctl.length));
});
