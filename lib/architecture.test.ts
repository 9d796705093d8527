import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';
import { packageRoot } from './paths.ts';

/**
 * The shape of the project as a test: which folder may import which, who imports a package, what
 * stands nowhere else. An allow-list, so that a new edge is a decision made here.
 */

interface Source {
  /** From the root of the package, `lib/errors.ts`. */
  path: string;
  text: string;
  /** Imported packages, and files as paths from the root. */
  imports: string[];
}

const FOLDERS = ['builder', 'cli', 'gateway', 'lib', 'load-tests', 'node-agent', 'scheduler'];

const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  lib: [],
  'node-agent': ['lib'],
  builder: ['lib', 'node-agent/engine', 'node-agent/images'],
  scheduler: ['lib', 'node-agent/api'],
  gateway: ['lib', 'node-agent/api'],
  cli: ['lib'],
  'load-tests': ['lib'],
};

/** Packages with exactly one importing file. */
const IMPORTER: Readonly<Record<string, string>> = {
  koffi: 'node-agent/engine/kernel/syscalls.ts',
  ioredis: 'lib/store/redis.ts',
  'tar-stream': 'lib/archive/tar.ts',
  'prom-client': 'lib/telemetry/metrics.ts',
  bullmq: 'lib/queue.ts',
};

/** What costs too much at a start of the CLI: 80 to 200 ms each. */
const TOO_SLOW_FOR_CLI = ['fastify', 'bullmq', 'ioredis', '@fastify/http-proxy', 'undici'];

const LINES_MAX = 400;

const sources = FOLDERS.flatMap((folder) => read(folder));
const byPath = new Map(sources.map((source) => [source.path, source]));

function read(folder: string): Source[] {
  const root = join(packageRoot, folder);
  if (!existsSync(root)) return [];
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(ts|mjs)$/.test(name) && !name.includes('node_modules'))
    .map((name) => {
      const path = `${folder}/${name}`;
      const text = readFileSync(join(packageRoot, path), 'utf8');
      return { path, text, imports: importsOf(path, text) };
    });
}

function importsOf(path: string, text: string): string[] {
  const found: string[] = [];
  const pattern =
    /^\s*(?:import|export)\b[^'";]*?from '([^']+)'|\bimport\('([^']+)'\)|^import '([^']+)'/gm;
  for (const match of text.matchAll(pattern)) {
    const name = match[1] ?? match[2] ?? match[3] ?? '';
    found.push(name.startsWith('.') ? normalize(join(dirname(path), name)) : name);
  }
  return found;
}

function isTest(path: string): boolean {
  return path.endsWith('.test.ts');
}

function topOf(path: string): string {
  return path.split('/')[0] ?? '';
}

/** A package's name without the path inside it. */
function packageOf(name: string): string {
  return name
    .split('/')
    .slice(0, name.startsWith('@') ? 2 : 1)
    .join('/');
}

test('a folder imports only what the allow-list says', () => {
  const wrong: string[] = [];
  for (const { path, imports } of sources) {
    for (const target of imports) {
      const [from, to] = [topOf(path), topOf(target)];
      if (!FOLDERS.includes(to) || from === to) continue;
      const allowed = ALLOWED[from]?.some((prefix) => target.startsWith(`${prefix}/`)) ?? false;
      if (!allowed) wrong.push(`${path} → ${target}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('koffi, ioredis, tar-stream, prom-client and bullmq have one importing file each', () => {
  const wrong: string[] = [];
  for (const { path, imports } of sources) {
    for (const name of imports) {
      const importer = IMPORTER[packageOf(name)];
      if (importer !== undefined && importer !== path) wrong.push(`${path} imports ${name}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('the CLI imports nothing slow, neither itself nor through another file', () => {
  const wrong: string[] = [];
  const seen = new Set<string>();
  const visit = (path: string, trail: string): void => {
    if (seen.has(path)) return;
    seen.add(path);
    for (const name of byPath.get(path)?.imports ?? []) {
      if (TOO_SLOW_FOR_CLI.includes(packageOf(name))) wrong.push(`${trail} → ${name}`);
      else visit(name, `${trail} → ${name}`);
    }
  };
  for (const { path } of sources) {
    if (topOf(path) === 'cli' && !isTest(path)) visit(path, path);
  }
  assert.deepEqual(wrong, []);
});

test('only the engine of the node agent changes what a process may see and do', () => {
  const calls = /\b(unshare|setns|chroot|pivot_root|pivotRoot|setuid|setgid|capset|seccomp)\(/;
  const wrong = sources.filter(
    ({ path, text }) => !path.startsWith('node-agent/engine/') && !isTest(path) && calls.test(text),
  );
  assert.deepEqual(
    wrong.map(({ path }) => path),
    [],
  );
});

test('no command goes through a shell', () => {
  const shell = /\bexecSync\(|\bshell: true\b|from 'node:child_process'.*\bexec\b/;
  const wrong = sources.filter(({ path, text }) => path !== SELF && shell.test(text));
  assert.deepEqual(
    wrong.map(({ path }) => path),
    [],
  );
});

test('no file is unfinished', () => {
  const words = /\b(TODO|FIXME|XXX|HACK)\b|\bfor now\b/;
  const wrong = sources.filter(({ path, text }) => path !== SELF && words.test(text));
  assert.deepEqual(
    wrong.map(({ path }) => path),
    [],
  );
});

test('no file is named after nothing in particular', () => {
  const vague = /(^|[/-])(utils?|helpers?|managers?|misc|common)([.-/]|$)/;
  assert.deepEqual(
    sources.map(({ path }) => path).filter((path) => vague.test(path)),
    [],
  );
});

test(`no file has more than ${LINES_MAX} lines`, () => {
  const wrong = sources
    .map(({ path, text }) => ({ path, lines: text.split('\n').length - 1 }))
    .filter(({ lines }) => lines > LINES_MAX);
  assert.deepEqual(wrong, []);
});

const SELF = 'lib/architecture.test.ts';
