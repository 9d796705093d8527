import { execFile } from 'node:child_process';
import { existsSync, readdirSync, realpathSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { promisify } from 'node:util';
import { HearthError } from '../../lib/errors.ts';
import { FileSet } from './file-set.ts';
import { libraryFolder, sharedLibraries } from './shared-libraries.ts';
import { addLibraries, CERTIFICATES_PATH } from './tools-layer.ts';

const run = promisify(execFile);

/** What Python says of itself. */
export interface PythonFacts {
  executable: string;
  /** `3.11`. */
  version: string;
  /** Folder that the others lie below, unless they are a distribution's own. */
  prefix: string;
  stdlib: string;
  /** Folder of the package pip; null when it is not installed. */
  pip: string | null;
}

const ASK = `
import importlib.util, json, os, sys, sysconfig
pip = importlib.util.find_spec('pip')
print(json.dumps({
  'executable': os.path.realpath(sys.executable),
  'version': '%d.%d' % sys.version_info[:2],
  'prefix': sys.base_prefix,
  'stdlib': sysconfig.get_path('stdlib'),
  'pip': os.path.dirname(pip.origin) if pip else None,
}))
`;

/** @throws HearthError BaseImageNotFound when the machine has no Python 3 */
export async function askPython(): Promise<PythonFacts> {
  try {
    const { stdout } = await run('python3', ['-I', '-c', ASK], { timeout: 20_000 });
    return JSON.parse(stdout) as PythonFacts;
  } catch (error) {
    throw new HearthError('BaseImageNotFound', 'hearth/python:3 needs a python3 on this machine', {
      hint: 'install python3, or use FROM with an image of a registry',
      cause: error,
    });
  }
}

/** Parts of the standard library that no server needs. */
const SKIPPED = new Set([
  'dist-packages',
  'ensurepip',
  'idlelib',
  'lib2to3',
  'site-packages',
  'test',
  'tests',
  'tkinter',
  'turtledemo',
]);

/** Python with its standard library, and the shared libraries that the tools below lack. */
export async function pythonLayer(facts: PythonFacts, tools: FileSet): Promise<FileSet> {
  const set = new FileSet();
  const prefix = imagePrefix(facts);
  set.addFile(`${prefix}/bin/python${facts.version}`, facts.executable);
  set.addLink(`${prefix}/bin/python3`, `python${facts.version}`);
  set.addLink(`${prefix}/bin/python`, 'python3');
  set.addTree(`${prefix}/${relative(facts.prefix, facts.stdlib)}`, facts.stdlib, {
    keepTimes: true,
    skip: (name) => SKIPPED.has(name) || /^config-3|\.opt-[12]\.pyc$/.test(name),
  });
  const modules = join(facts.stdlib, 'lib-dynload');
  const loaded = existsSync(modules)
    ? readdirSync(modules)
        .filter((name) => name.endsWith('.so') && !/^_?(test|tkinter)/.test(name))
        .map((name) => join(modules, name))
    : [];
  const needed = await sharedLibraries([facts.executable, ...loaded]);
  addLibraries(set, needed, libraryFolder(needed), tools);
  return set;
}

/** pip, if Python has it; it trusts the machine's certificate authorities. */
export function pipLayer(facts: PythonFacts): FileSet | undefined {
  if (facts.pip === null) return undefined;
  const set = new FileSet();
  const prefix = imagePrefix(facts);
  const skip = (name: string): boolean => name === '__pycache__';
  const folder = relative(facts.prefix, realpathSync(facts.pip));
  if (folder.startsWith('..')) return undefined;
  set.addTree(`${prefix}/${folder}`, facts.pip, { skip });
  for (const name of ['pip', 'pip3']) {
    set.addText(`${prefix}/bin/${name}`, '#!/bin/sh\nexec python3 -m pip "$@"\n', 0o755);
  }
  const index = process.env.PIP_INDEX_URL;
  const hasIndex = index !== undefined && /^https?:\/\/[^\s@]+$/.test(index);
  const lines = ['[global]', `cert = ${CERTIFICATES_PATH}`, 'disable-pip-version-check = true'];
  set.addText(
    'etc/pip.conf',
    `${[...lines, ...(hasIndex ? [`index-url = ${index}`] : [])].join('\n')}\n`,
  );
  return set;
}

/** Python finds its library from where it lies itself; a distribution's own stays in /usr. */
function imagePrefix({ prefix }: PythonFacts): string {
  return basename(prefix) === 'usr' ? 'usr' : 'usr/local';
}
