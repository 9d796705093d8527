import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { packageRoot } from '../../lib/paths.ts';
import { parseSpecFile } from '../../lib/spec/file.ts';
import { type Guest, spawnGuest } from './testing/spawn-guest.ts';

const EXAMPLES = join(packageRoot, 'functions-examples');
const NODE = [process.execPath, join(import.meta.dirname, 'node/main.js')];
const PYTHON = ['python3', join(packageRoot, 'node-agent/guest/python/main.py')];

/** The text files of an example by name. */
function filesOf(example: string): Record<string, string> {
  const folder = join(EXAMPLES, example);
  const names = readdirSync(folder).filter((name) => statSync(join(folder, name)).isFile());
  return Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name), 'utf8')]));
}

async function start(t: TestContext, example: string, command: string[]): Promise<Guest> {
  const guest = spawnGuest(t, { command, files: filesOf(example) });
  assert.equal((await guest.status).ready, true);
  return guest;
}

describe('examples', () => {
  const hello = { method: 'POST', body: '{"name":"Ada"}', headers: { 'x-call-id': 'c-1' } };

  it('hello-node', async (t) => {
    const guest = await start(t, 'hello-node', NODE);
    const greeting = { message: 'Hello, Ada!', callId: 'c-1' };
    assert.deepEqual(JSON.parse((await guest.call('/', hello)).body), greeting);
    assert.match((await guest.call('/?name=Bob')).body, /Hello, Bob!/);
  });

  it('hello-python', async (t) => {
    const guest = await start(t, 'hello-python', PYTHON);
    const greeting = { message: 'Hello, Ada!', callId: 'c-1' };
    assert.deepEqual(JSON.parse((await guest.call('/', hello)).body), greeting);
    assert.match((await guest.call('/?name=Bob')).body, /Hello, Bob!/);
  });

  it('stream-node', async (t) => {
    const guest = await start(t, 'stream-node', NODE);
    const answer = await guest.call('/?count=2&everyMs=1');
    assert.equal(answer.headers['content-type'], 'text/event-stream');
    assert.equal(answer.body, 'id: 1\ndata: {"tick":1}\n\nid: 2\ndata: {"tick":2}\n\n');
    assert.equal((await guest.call('/', { method: 'POST', body: 'abc' })).body, 'ABC');
  });

  it('npm-node has a lockfile without addresses, and its dependency is found', async (t) => {
    const lock = readFileSync(join(EXAMPLES, 'npm-node/package-lock.json'), 'utf8');
    assert.doesNotMatch(lock, /"resolved"|https?:/);
    const own = readFileSync(join(packageRoot, 'node_modules/ms/index.js'), 'utf8');
    const manifest = readFileSync(join(packageRoot, 'node_modules/ms/package.json'), 'utf8');
    const files = {
      ...filesOf('npm-node'),
      'node_modules/ms/index.js': own,
      'node_modules/ms/package.json': manifest,
    };
    const guest = spawnGuest(t, { command: NODE, files });
    assert.deepEqual(JSON.parse((await answered(guest, '/?time=2h')).body), {
      time: '2h',
      result: 7_200_000,
    });
    assert.equal((await guest.call('/?time=soon')).status, 400);
  });

  it('dockerfile-run: the page is made and served', async (t) => {
    const folder = join(EXAMPLES, 'dockerfile-run');
    const script = join(folder, 'make-page.mjs');
    const page = execFileSync(process.execPath, [script, 'A <b>'], { encoding: 'utf8' });
    assert.match(page, /<h1>A &#60;b&#62;<\/h1>/);
    const files = {
      'server.mjs': filesOf('dockerfile-run')['server.mjs'] ?? '',
      'public/index.html': page,
    };
    const guest = spawnGuest(t, { command: NODE, files });
    assert.equal((await answered(guest, '/')).body, page);
  });

  it('c-scratch: compiles without warnings', (t) => {
    if (spawnSync('gcc', ['--version']).error !== undefined) return t.skip('needs gcc');
    const source = join(EXAMPLES, 'c-scratch/server.c');
    const flags = ['-O2', '-Wall', '-Wextra', '-Werror', '-D_GNU_SOURCE', '-fsyntax-only'];
    execFileSync('gcc', [...flags, source]);
  });

  it('every function.yaml is valid', () => {
    for (const example of readdirSync(EXAMPLES)) {
      if (!statSync(join(EXAMPLES, example)).isDirectory()) continue;
      const text = filesOf(example)['function.yaml'];
      if (text !== undefined) parseSpecFile(text, `${example}/function.yaml`);
    }
  });
});

async function answered(guest: Guest, path: string): Promise<{ body: string }> {
  assert.equal((await guest.status).ready, true);
  return guest.call(path);
}
