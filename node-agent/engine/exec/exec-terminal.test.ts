import assert from 'node:assert/strict';
import { readdirSync, readlinkSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Container } from '../engine-types.ts';
import { missingForContainers } from '../testing/busybox-layer.ts';
import { type EngineWorld, makeEngineWorld, says } from '../testing/engine-world.ts';
import type { ExecProcess, ExecSpec } from './exec-types.ts';

const skip = missingForContainers() ?? false;
const sh = (script: string): string[] => ['/bin/sh', '-c', script];
const TTY = { rows: 24, columns: 80 };
const PATIENCE_MS = 10_000;

/** A program on a terminal, with what its screen has shown so far. */
class Screen {
  readonly exec: ExecProcess;
  shown = '';

  constructor(exec: ExecProcess) {
    this.exec = exec;
    exec.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      this.shown += chunk;
    });
  }

  async shows(pattern: RegExp): Promise<void> {
    const endMs = performance.now() + PATIENCE_MS;
    while (!pattern.test(this.shown)) {
      assert.ok(performance.now() < endMs, `no ${pattern} on: ${JSON.stringify(this.shown)}`);
      await delay(10);
    }
  }

  type(text: string): void {
    this.exec.stdin?.write(text);
  }
}

describe('terminals of exec', { skip }, () => {
  let world: EngineWorld;
  let container: Container;
  before(async () => {
    world = await makeEngineWorld();
    container = await world.engine.start(world.spec(['sleep', '300']));
  });
  after(() => world.close());
  const open = async (argv: string[], more: Partial<ExecSpec> = {}): Promise<Screen> =>
    new Screen(await container.exec({ argv, tty: TTY, stdin: true, ...more }));

  test('a program has a terminal of its own, echoes what is typed, and ends with its code', async () => {
    const screen = await open(sh('tty; echo $TERM; read line; echo "got $line"; exit 4'));
    await screen.shows(/\/dev\/pts\/\d+\r\nxterm\r\n/);
    screen.type('hello\n');
    await screen.shows(/hello\r\ngot hello\r\n/);
    assert.deepEqual(await screen.exec.exited, { code: 4 });
    assert.equal((await screen.exec.stderr.toArray()).length, 0);
  });

  test('Ctrl-C interrupts what runs in the foreground, Ctrl-D ends its input', async () => {
    const screen = await open(['/bin/sh', '-i']);
    screen.type('sleep 60\n');
    await delay(200);
    screen.type('\x03');
    screen.type('echo "after $?"\n');
    await screen.shows(/\nafter 130\r/);
    screen.type('\x04');
    assert.deepEqual(await screen.exec.exited, { code: 0 });
  });

  test('the end of what is written to it is the end of its input', async () => {
    const screen = await open(['cat']);
    screen.exec.stdin?.end('all\n');
    await screen.shows(/all\r\nall\r\n/);
    assert.deepEqual(await screen.exec.exited, { code: 0 });
  });

  test('its size is the one given, and a change is a signal', async () => {
    const script = 'trap "stty size" WINCH; stty size; while :; do sleep 0.05; done';
    const screen = await open(sh(script), { tty: { rows: 31, columns: 97 } });
    await screen.shows(/31 97\r\n/);
    screen.exec.resize(40, 120);
    await screen.shows(/40 120\r\n/);
    assert.throws(() => screen.exec.resize(0, 70_000), { code: 'BadRequest' });
    screen.exec.signal('SIGKILL');
    await screen.exec.exited;
    screen.exec.resize(10, 10);
  });

  test('another user opens it by its name; the terminal is its own only', async () => {
    const user = { uid: 12, gid: 34, groups: [] };
    const screen = await open(sh('echo by name > $(tty); ls -ln $(tty); ls -l /proc/self/fd'), {
      user,
    });
    await screen.exec.exited;
    await screen.shows(/by name\r\ncrw--w----\s+1 12\s+5\s/);
    await screen.shows(/0 -> \/dev\/pts\/\d+\r\n.*1 -> \/dev\/pts.*\r\n.*2 -> \/dev\/pts/);
  });

  test('nobody types on it without stdin', async () => {
    const exec = await container.exec({
      argv: sh('test -t 0 && test -t 2 && echo both'),
      tty: TTY,
    });
    assert.equal(exec.stdin, undefined);
    assert.equal((await exec.stdout.toArray()).join(''), 'both\r\n');
  });

  test('a program that never reads holds nobody up', async () => {
    const screen = await open(sh('stty raw -echo; echo deaf; sleep 60'));
    await screen.shows(/deaf/);
    for (let n = 0; n < 64; n++) screen.type('x'.repeat(1024));
    const beganMs = performance.now();
    await delay(50);
    assert.ok(performance.now() - beganMs < 2_000);
    screen.exec.signal('SIGKILL');
    assert.deepEqual(await screen.exec.exited, { signal: 9 });
  });

  test('a container has so many terminals, and leaves the others theirs', async () => {
    const { resources } = world.spec(['true']);
    const script =
      'for n in $(seq 300); do sleep 60 3<>/dev/ptmx & done 2>/dev/null; sleep 1; ls /dev/pts | wc -l';
    const greedy = await world.engine.start(
      world.spec(sh(script), { resources: { ...resources, pids: 400 } }),
    );
    // With ptmx itself
    await says(greedy, /^257\n$/);
    await (await open(sh('tty'))).shows(/\/dev\/pts\/\d+/);
    await greedy.remove();
  });

  test('the container’s end hangs it up, and no descriptor of it is left', async () => {
    const other = await world.engine.start(world.spec(['sleep', '60']));
    const exec = await other.exec({ argv: ['cat'], tty: TTY, stdin: true });
    const screen = new Screen(exec);
    await other.remove();
    assert.deepEqual(await exec.exited, { signal: 9 });
    const ended = new Promise((resolve) => exec.stdout.once('close', resolve));
    if (!exec.stdout.closed) await ended;
    assert.equal(screen.shown, '');
    const own = readdirSync('/proc/self/fd').flatMap((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`);
      } catch {
        return [];
      }
    });
    assert.deepEqual(
      own.filter((target) => /pts\/|ptmx/.test(target)),
      [],
    );
  });
});
