import { existsSync, realpathSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { FileSet, findOnHost } from './file-set.ts';
import { libraryFolder, sharedLibraries } from './shared-libraries.ts';
import { addLibraries, CERTIFICATES_PATH } from './tools-layer.ts';

/** The Node that this process runs, with the libraries that the tools below lack. */
export async function nodeLayer(tools: FileSet): Promise<FileSet> {
  const set = new FileSet();
  set.addFile('usr/bin/node', realpathSync(process.execPath));
  const needed = await sharedLibraries([process.execPath]);
  addLibraries(set, needed, libraryFolder(needed), tools);
  return set;
}

/** npm, if this machine has it; it trusts the machine's certificate authorities. */
export function npmLayer(): FileSet | undefined {
  const folder = npmFolder();
  if (folder === undefined) return undefined;
  const set = new FileSet();
  const skip = (_name: string, relative: string): boolean => /^(docs|man)$/.test(relative);
  set.addTree('usr/lib/node_modules/npm', folder, { skip });
  set.addLink('usr/bin/npm', '../lib/node_modules/npm/bin/npm-cli.js');
  set.addLink('usr/bin/npx', '../lib/node_modules/npm/bin/npx-cli.js');
  set.addText('usr/etc/npmrc', npmrc());
  return set;
}

/** npm's global configuration; a registry of the builder's own environment comes along. */
function npmrc(): string {
  const registry = process.env.npm_config_registry;
  const lines = [
    `cafile=${CERTIFICATES_PATH}`,
    'update-notifier=false',
    'fund=false',
    'audit=false',
  ];
  if (registry !== undefined && /^https?:\/\/[^\s@]+$/.test(registry)) {
    lines.push(`registry=${registry}`);
  }
  return `${lines.join('\n')}\n`;
}

/** The folder with npm's package.json: the npm that runs us, else the one in PATH. */
function npmFolder(): string | undefined {
  const executed = process.env.npm_execpath;
  const inPath = findOnHost('npm', (process.env.PATH ?? '').split(delimiter).filter(Boolean));
  for (const path of [executed, inPath]) {
    if (path === undefined || !existsSync(path)) continue;
    const folder = dirname(dirname(realpathSync(path)));
    if (existsSync(join(folder, 'bin/npm-cli.js'))) return folder;
  }
  return undefined;
}
