import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { LIMITS } from '../../lib/limits.ts';
import type { ContainerSpec } from './container-spec.ts';
import type { Container } from './engine-types.ts';
import { CAPABILITY_NAMES, DEFAULT_CAPABILITIES } from './seccomp/capabilities.ts';
import { RUNC, runBare } from './testing/bare-runc.ts';
import { missingForContainers } from './testing/busybox-layer.ts';
import { missingForCompile } from './testing/compile.ts';
import { type EngineWorld, ended, makeEngineWorld, says } from './testing/engine-world.ts';
import type { ProbedPlace } from './testing/escape-facts.ts';
import {
  CALLS,
  installProbe,
  namespacesOf,
  PROBE_COMMAND,
  probedRows,
  wrongRows,
} from './testing/escape-probe.ts';
import { executed } from './testing/exec-run.ts';

const skip = missingForContainers() ?? missingForCompile() ?? false;
const skipRunc = existsSync(RUNC) ? false : 'needs runc';

/** Who runs the probe: title, uid, capabilities. */
const PLACES = [
  ['uid 0', 0, []],
  ['uid 10001', 10_001, []],
  ['uid 0 with Docker’s capabilities', 0, DEFAULT_CAPABILITIES],
  ['uid 10001 with Docker’s capabilities', 10_001, DEFAULT_CAPABILITIES],
] as const;

const REFUSED = /: (E[A-Z0-9]+)$/;
const MIB = 1024 * 1024;

/** ESC-P: one probe and one table (testing/escape-calls.ts, testing/escape-facts.ts). */
describe('doors out of a container', { skip }, () => {
  let world: EngineWorld;
  let sibling: Container;
  let listener: Server;
  const name = `hearth-escape-${process.pid}`;
  before(async () => {
    const runtimes = existsSync(RUNC) ? { runc: { path: RUNC } } : {};
    world = await makeEngineWorld({ runtimes });
    installProbe(world);
    // Bare runc's root can only be read: it has a place for each mount already
    for (const folder of ['dev', 'proc', 'sys', 'tmp']) mkdirSync(join(world.layer, folder));
    chmodSync(join(world.layer, 'tmp'), 0o1777);
    sibling = await world.engine.start(world.spec(['sleep', '600']));
    listener = createServer();
    await new Promise<void>((resolve) => listener.listen(`\0${name}`, resolve));
  });
  after(async () => {
    listener.close();
    await world.close();
  });

  const placeOf = (more: Partial<ContainerSpec>): ProbedPlace => {
    const { user, capabilities, hostname, resources } = world.spec([], more);
    return {
      uid: user.uid,
      capabilities,
      hostname,
      openFiles: resources.openFiles,
      isRuntimes: more.ociRuntime !== undefined,
      hostPaths: [world.folder, world.options.stateDir],
      others: [namespacesOf('self'), namespacesOf(sibling.pid)],
    };
  };
  const probe = async (more: Partial<ContainerSpec>): Promise<string> => {
    const ran = await world.run([...PROBE_COMMAND], more);
    assert.equal(ran.code, 0, ran.stderr);
    return ran.stdout;
  };
  const of = (uid: number, capabilities: readonly string[]): Partial<ContainerSpec> => ({
    user: { uid, gid: uid, groups: [] },
    capabilities,
  });

  for (const [title, uid, capabilities] of PLACES) {
    test(`ESC-P: every row is as required for ${title}`, async () => {
      const more = of(uid, capabilities);
      assert.deepEqual(wrongRows(await probe(more), placeOf(more)), []);
    });

    test(`ESC-P: every row is as required for ${title}, by exec`, async () => {
      const more = { capabilities };
      const container = await world.engine.start(world.spec(['sleep', '60'], more));
      for (const tty of [undefined, { rows: 24, columns: 80 }]) {
        const place = { ...placeOf(of(uid, capabilities)), hasTerminal: tty !== undefined };
        const user = { uid, gid: uid, groups: [] };
        const argv = [...PROBE_COMMAND];
        const ran = await executed(container, { argv, user, ...(tty ? { tty } : {}) });
        assert.equal(ran.code, 0, ran.stderr);
        assert.deepEqual(wrongRows(ran.stdout, place), []);
      }
      await container.remove();
    });

    test(`ESC-P: every row is as required for ${title}, under runc`, {
      skip: skipRunc,
    }, async () => {
      const more = { ...of(uid, capabilities), ociRuntime: 'runc' };
      assert.deepEqual(wrongRows(await probe(more), placeOf(more)), []);
    });
  }

  test('ESC-P: no row depends on which capabilities there are', async () => {
    const more = { capabilities: CAPABILITY_NAMES };
    assert.deepEqual(wrongRows(await probe(more), placeOf(more)), []);
  });

  test('ESC-P: with a listener and a status pipe there are two more descriptors, and no other', async () => {
    const more = { ...of(10_001, []), statusPipe: true };
    const listenPath = join(world.folder, 'all.sock');
    const place = { ...placeOf(more), descriptors: 5 };
    assert.deepEqual(wrongRows(await probe({ ...more, listenPath }), place), []);
  });

  test('ESC-P: the same probe finds doors open under bare runc', { skip: skipRunc }, async (t) => {
    const own = probedRows(await probe({}), placeOf({}));
    const said = await runBare(world, { name: `hearth-${process.pid}`, argv: PROBE_COMMAND });
    const bare = new Map(probedRows(said, placeOf({})).map((row) => [row.title, row]));
    const differing = own.flatMap(({ title, found }) => {
      if (/^(mount|namespace) |\(family/.test(title)) return [];
      const there = bare.get(title)?.found ?? 'absent';
      return there === found ? [] : [`${title.padEnd(44)}${found.padEnd(22)}${there}`];
    });
    t.diagnostic(`row, here, bare runc\n${differing.join('\n')}`);
    for (const { title, isOpenBare } of CALLS) {
      const found = bare.get(title)?.found ?? '';
      if (isOpenBare === true) assert.equal(found, 'OK', title);
      // A kernel without it has no such door either
      if (isOpenBare === 'if built') assert.match(found, /^(OK|E(AF|PROTO)NOSUPPORT)$/, title);
    }
    assert.equal(bare.get('masked /proc/interrupts')?.found, 'READABLE');
    assert.equal(bare.get('status Seccomp')?.found, '0');
    assert.equal(bare.get('status CapEff')?.found, '0000000020000420');
    const reached = [...bare.values()].filter((row) => !row.isAsRequired);
    assert.ok(reached.length > 100, String(reached.length));
  });

  test('every thread and process is as closed as the first, seen from outside', async () => {
    const more = { resources: { ...world.spec([]).resources, memoryBytes: 64 * MIB } };
    const container = await world.engine.start(world.spec(['/bin/probe', 'threads'], more));
    await says(container, /ready/);
    const status = readFileSync(`/proc/${container.pid}/status`, 'utf8');
    const init = /^PPid:\t(\d+)$/m.exec(status)?.[1] ?? '';
    const seen: string[] = [];
    for (const pid of processesBelow(init)) {
      for (const lines of statusesOf(pid)) {
        for (const set of ['Inh', 'Prm', 'Eff', 'Bnd', 'Amb']) {
          assert.match(lines, new RegExp(`^Cap${set}:\t0{16}$`, 'm'), lines);
        }
        assert.match(lines, /^NoNewPrivs:\t1$/m);
        assert.match(lines, /^Seccomp:\t2$/m);
        const uids = /^Uid:\t(.*)$/m.exec(lines)?.[1]?.split('\t').map(Number) ?? [0];
        const { uidBase } = world.options;
        assert.ok(Math.min(...uids) >= uidBase, lines);
        seen.push(/^Name:\t(.*)$/m.exec(lines)?.[1] ?? '');
      }
    }
    // Init, whose name depends on the kernel, four threads of the program, two more processes
    assert.equal(seen.filter((called) => called === 'probe').length, 6, seen.join());
    assert.ok(seen.length >= 7, seen.join());
    await container.remove();
  });

  for (const [title, uid, capabilities, socket] of [
    ['a function as uid 0', 0, [], true],
    ['a function as another user', 10_001, [], true],
    ['a build step', 0, DEFAULT_CAPABILITIES, false],
    ['a build step as another user', 10_001, DEFAULT_CAPABILITIES, false],
  ] as const) {
    test(`sockets and networks lead nowhere for ${title}`, async () => {
      const host = world.options.subnet.replace(/0\/24$/, '1');
      const listenPath = join(world.folder, `${uid}.sock`);
      const container = await world.engine.start(
        world.spec(['/bin/probe', 'doors', name, host], {
          ...of(uid, capabilities),
          network: 'bridge',
          ...(socket ? { listenPath, statusPipe: true } : {}),
        }),
      );
      const caller = socket ? connect(listenPath).on('error', () => {}) : undefined;
      const { stdout, code } = await ended(container);
      caller?.destroy();
      assert.equal(code, 0, stdout);
      const lines = stdout.trim().split('\n');
      const facts = lines.filter((line) => /^(interfaces|descriptors)/.test(line));
      const own = [`descriptors: ${socket ? 5 : 3}`, `interfaces: ${socket ? 'EPERM' : 'lo eth0'}`];
      const shown = ['interfaces of the listener: EPERM', 'interfaces of a caller: EPERM'];
      assert.deepEqual(facts, socket ? [...own, ...shown] : own);
      const open = lines.filter((line) => !facts.includes(line) && !REFUSED.test(line));
      assert.deepEqual(open, []);
      assert.ok(lines.length > 12, stdout);
    });
  }

  test('a container cannot fill the host’s table of connections', async (t) => {
    const table = '/proc/sys/net/netfilter/nf_conntrack_count';
    if (!existsSync(table)) return t.skip('needs nf_conntrack');
    const before = Number(readFileSync(table, 'utf8'));
    const count = LIMITS.containerConnectionsMax * 5;
    const { code } = await world.run(['/bin/probe', 'flood', String(count)], { network: 'bridge' });
    assert.equal(code, 0);
    const grown = Number(readFileSync(table, 'utf8')) - before;
    // Others on this machine make some meanwhile
    assert.ok(grown < LIMITS.containerConnectionsMax * 2, `grew by ${grown}`);
  });
});

/** A process of the host with its children and theirs. */
function processesBelow(pid: string): string[] {
  const children = readdirSync('/proc').filter(
    (name) => /^\d+$/.test(name) && parentOf(name) === pid,
  );
  return [pid, ...children.flatMap(processesBelow)];
}

/** What the kernel says of each thread; nothing of a process that has ended. */
function statusesOf(pid: string): string[] {
  try {
    const tasks = readdirSync(`/proc/${pid}/task`);
    return tasks.map((task) => readFileSync(`/proc/${pid}/task/${task}/status`, 'utf8'));
  } catch {
    return [];
  }
}

function parentOf(pid: string): string | undefined {
  try {
    return /^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  } catch {
    return undefined;
  }
}
