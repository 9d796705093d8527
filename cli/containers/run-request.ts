import type { RunContainerRequest } from '../../lib/container-api.ts';
import { parseBytes, parseCpuMillis } from '../../lib/units.ts';
import { usageError } from '../errors.ts';
import { parsePairs } from '../pairs.ts';

/** `hearth run`'s flags, as commander hands them over; names as docker run has them. */
export interface RunFlags {
  detach?: boolean;
  /** Of docker run; here `hearth exec` has them. */
  interactive?: boolean;
  tty?: boolean;
  rm?: boolean;
  name?: string;
  env?: string[];
  label?: string[];
  entrypoint?: string;
  workdir?: string;
  user?: string;
  hostname?: string;
  network?: string;
  networkAlias?: string[];
  publish?: string[];
  volume?: string[];
  tmpfs?: string[];
  egress?: string[];
  memory?: string;
  swap?: string;
  cpus?: string;
  cpuWeight?: string;
  pidsLimit?: string;
  disk?: string;
  inodes?: string;
  shmSize?: string;
  runtime?: string;
  node?: string;
}

/**
 * The request that the flags mean. Numbers are read here, as their units are the command line's;
 * everything else is the node's to judge.
 * @throws HearthError UsageInvalid that names every bad flag
 */
export function runRequest(
  image: string,
  command: readonly string[],
  flags: RunFlags,
): RunContainerRequest {
  if (flags.interactive === true || flags.tty === true) {
    throw usageError(
      'a container begins without input and terminal: run has no -i and no -t',
      `hearth run -d --name NAME ${image} sleep 1d; hearth exec -it NAME sh`,
    );
  }
  const faults: string[] = [];
  const number = (flag: string, text: string | undefined, parse: Parse): number | undefined => {
    if (text === undefined) return undefined;
    const value = parse(text);
    if (value === undefined) faults.push(`--${flag}: "${text}" is no ${parse.kind}`);
    return value;
  };
  const request: Loose = {
    image,
    name: flags.name,
    command: command.length === 0 ? undefined : [...command],
    entrypoint: flags.entrypoint === undefined ? undefined : [flags.entrypoint],
    env: parsePairs('--env', flags.env),
    labels: parsePairs('--label', flags.label),
    workingDir: flags.workdir,
    user: flags.user,
    hostname: flags.hostname,
    network: flags.network,
    aliases: flags.networkAlias,
    ports: flags.publish,
    volumes: flags.volume,
    egress: flags.egress,
    tmpfs: tmpfs(flags.tmpfs ?? [], faults),
    memoryBytes: number('memory', flags.memory, bytes),
    swapBytes: number('swap', flags.swap, bytes),
    cpuMillis: number('cpus', flags.cpus, cores),
    cpuWeight: number('cpu-weight', flags.cpuWeight, count),
    pids: number('pids-limit', flags.pidsLimit, count),
    diskBytes: number('disk', flags.disk, bytes),
    inodes: number('inodes', flags.inodes, count),
    shmBytes: number('shm-size', flags.shmSize, bytes),
    ociRuntime: flags.runtime,
    autoRemove: flags.rm,
  };
  if (faults.length > 0) throw usageError(faults.join('; '), 'sizes are such as 64Mi, 1Gi');
  return withoutAbsent(request);
}

type Loose = { [K in keyof RunContainerRequest]: RunContainerRequest[K] | undefined };

function withoutAbsent(request: Loose): RunContainerRequest {
  const given = Object.entries(request).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given) as unknown as RunContainerRequest;
}

interface Parse {
  (text: string): number | undefined;
  kind: string;
}

const bytes: Parse = Object.assign((text: string) => parseBytes(text), { kind: 'size' });
const cores: Parse = Object.assign((text: string) => parseCpuMillis(text), {
  kind: 'number of cores',
});
const count: Parse = Object.assign(
  (text: string) => (/^\d{1,9}$/.test(text) ? Number(text) : undefined),
  { kind: 'whole number' },
);

/** `PATH:SIZE`, or `PATH:size=SIZE` as docker has it. */
function tmpfs(words: readonly string[], faults: string[]): Record<string, number> | undefined {
  if (words.length === 0) return undefined;
  const found: Record<string, number> = {};
  for (const word of words) {
    const [, path = '', size = ''] = /^([^:]+):(?:size=)?([^:,]+)$/.exec(word) ?? [];
    const sizeBytes = parseBytes(size);
    if (sizeBytes === undefined) faults.push(`--tmpfs: "${word}" is not PATH:SIZE`);
    else found[path] = sizeBytes;
  }
  return found;
}
