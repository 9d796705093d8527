import { HearthError } from '../errors.ts';
import type { FunctionSpec } from '../spec/spec.ts';

/** What must be known of a folder to write a Dockerfile for it. */
export interface FolderFacts {
  /** Names in the folder itself. */
  names: readonly string[];
  /** Text of its package.json, if it has one. */
  packageJson?: string;
}

export interface GeneratedDockerfile {
  text: string;
  /** Ignore rules beside the folder's own: what the image gets by its own means. */
  excludes: string[];
}

/** Dockerfile for a folder of the runtimes `node` and `python`. @throws HearthError ContextInvalid */
export function generateDockerfile(
  spec: Pick<FunctionSpec, 'runtime' | 'handler'>,
  facts: FolderFacts,
): GeneratedDockerfile {
  if (spec.runtime === 'python') return pythonDockerfile(spec.handler, facts);
  return nodeDockerfile(spec.handler, facts);
}

/** User of the generated images: not root, and the owner of /app. */
const USER = '65532';

function nodeDockerfile(handler: string, facts: FolderFacts): GeneratedDockerfile {
  const has = (name: string): boolean => facts.names.includes(name);
  const installs = hasDependencies(facts.packageJson);
  const isLocked = has('package-lock.json') || has('npm-shrinkwrap.json');
  const files = ['package.json', 'package-lock.json', 'npm-shrinkwrap.json', '.npmrc'].filter(has);
  const install = `npm ${isLocked ? 'ci' : 'install'} --omit=dev --cache /tmp/npm`;
  const lines = [
    'FROM hearth/node:24',
    'WORKDIR /app',
    // Before the sources, so that a change of them does not install everything again.
    ...(installs
      ? [`COPY ${files.join(' ')} ./`, `RUN ${install} && rm -rf /tmp/npm /tmp/node-compile-cache`]
      : []),
    ...tail(handler, ['node', '/opt/hearth/guest/node/main.js']),
  ];
  return { text: `${lines.join('\n')}\n`, excludes: installs ? ['node_modules'] : [] };
}

function pythonDockerfile(handler: string, { names }: FolderFacts): GeneratedDockerfile {
  const installs = names.includes('requirements.txt');
  const lines = [
    'FROM hearth/python:3',
    'WORKDIR /app',
    ...(installs
      ? [
          'COPY requirements.txt ./',
          'RUN python3 -m pip install --no-cache-dir -r requirements.txt',
        ]
      : []),
    ...tail(handler, ['python3', '/opt/hearth/guest/python/main.py']),
  ];
  return { text: `${lines.join('\n')}\n`, excludes: ['**/__pycache__', '.venv', 'venv'] };
}

function tail(handler: string, command: readonly string[]): string[] {
  return [
    `COPY --chown=${USER}:${USER} . .`,
    ...(handler === '' ? [] : [`ENV HEARTH_HANDLER=${quoted(handler)}`]),
    `USER ${USER}`,
    `CMD ${JSON.stringify(command)}`,
  ];
}

/** In single quotes a Dockerfile takes everything as it is. */
function quoted(handler: string): string {
  if (!/['\n\r\0]/.test(handler)) return `'${handler}'`;
  throw new HearthError('ContextInvalid', `handler ${JSON.stringify(handler)} is not a file name`);
}

function hasDependencies(packageJson: string | undefined): boolean {
  if (packageJson === undefined) return false;
  let parsed: unknown;
  try {
    parsed = JSON.parse(packageJson.replace(/^\uFEFF/, ''));
  } catch (error) {
    throw new HearthError(
      'ContextInvalid',
      `package.json is not JSON: ${(error as Error).message}`,
    );
  }
  if (typeof parsed !== 'object' || parsed === null) return false;
  const { dependencies, optionalDependencies } = parsed as Record<string, unknown>;
  return [dependencies, optionalDependencies].some(
    (list) => typeof list === 'object' && list !== null && Object.keys(list).length > 0,
  );
}
