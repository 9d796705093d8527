import assert from 'node:assert/strict';

/** What the kernel shows a filter: struct seccomp_data. */
export interface Call {
  nr: number;
  arch: number;
  args?: readonly bigint[];
}

/** The kernel's classic BPF machine, as far as the filters use it; answers the action. */
export function interpret(program: Buffer, call: Call): number {
  const data = Buffer.alloc(64);
  data.writeUInt32LE(call.nr >>> 0, 0);
  data.writeUInt32LE(call.arch, 4);
  for (const [n, arg] of (call.args ?? []).entries()) data.writeBigUInt64LE(arg, 16 + 8 * n);
  return run(program, data);
}

function run(program: Buffer, data: Buffer): number {
  let accumulator = 0;
  for (let at = 0; at < program.length / 8; ) {
    const code = program.readUInt16LE(8 * at);
    const [jt, jf] = [program.readUInt8(8 * at + 2), program.readUInt8(8 * at + 3)];
    const k = program.readUInt32LE(8 * at + 4);
    at += 1;
    if (code === 0x20) accumulator = data.readUInt32LE(k);
    else if (code === 0x54) accumulator = (accumulator & k) >>> 0;
    else if (code === 0x15) at += accumulator === k ? jt : jf;
    else if (code === 0x35) at += accumulator >= k ? jt : jf;
    else if (code === 0x05) at += k;
    else if (code === 0x06) return k;
    else assert.fail(`instruction ${code} at ${at - 1}`);
  }
  return assert.fail('the program ran over its end');
}
