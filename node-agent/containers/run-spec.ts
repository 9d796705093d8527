import { HearthError } from '../../lib/errors.ts';
import type { ImageConfig } from '../../lib/oci/types.ts';
import type { ParsedRun } from '../api/parse-run-request.ts';
import type { ContainerSpec } from '../engine/container-spec.ts';
import { DEFAULT_CAPABILITIES } from '../engine/seccomp/capabilities.ts';
import { LABELS } from '../events/event-info.ts';
import type { Account } from './account.ts';

/** What the agent adds to a run. */
export interface RunSite {
  id: string;
  name: string;
  config: ImageConfig;
  /** Unpacked layers of the image, lowest first. */
  layers: readonly string[];
  account: Account;
  /** Text of the container's /etc/resolv.conf. */
  resolvConf: string;
  /** Where its writable layer is. */
  writable: 'memory' | 'disk';
}

/** Docker's default, for an image that sets none. */
const PATH_DEFAULT = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * The container of a run: what was asked for over what the image says (OCI image spec, "Conversion
 * to OCI Runtime Configuration"), with Docker's default capabilities inside its user namespace.
 * @throws HearthError EntrypointNotFound when neither names a program
 */
export function runSpecOf(run: ParsedRun, site: RunSite): ContainerSpec {
  const hostname = run.hostname ?? site.name;
  const { swapBytes = 0, ...resources } = run.resources;
  return {
    id: site.id,
    hostname,
    labels: { ...run.labels, [LABELS.name]: site.name },
    layers: site.layers,
    argv: argvOf(run, site.config),
    env: envOf(run, site, hostname),
    cwd: cwdOf(run.workingDir ?? site.config.config?.WorkingDir),
    user: site.account.user,
    capabilities: DEFAULT_CAPABILITIES,
    resources: { ...resources, writable: site.writable, ...(swapBytes > 0 ? { swapBytes } : {}) },
    network: run.network,
    ...given('aliases', aliasesOf(run, site.name, hostname)),
    ...given('egress', run.egress),
    ...given('ports', run.ports),
    ...given('mounts', run.mounts),
    ...(run.ociRuntime === undefined ? {} : { ociRuntime: run.ociRuntime }),
    files: {
      '/etc/hosts': `127.0.0.1 localhost ${hostname}\n::1 localhost ip6-localhost\n`,
      '/etc/resolv.conf': site.resolvConf,
    },
  };
}

/** The program of a run: Docker drops the image's Cmd when the entrypoint is replaced. */
function argvOf(run: ParsedRun, config: ImageConfig): string[] {
  const image = config.config ?? {};
  const entrypoint = run.entrypoint ?? image.Entrypoint ?? [];
  const command = run.command ?? (run.entrypoint === undefined ? (image.Cmd ?? []) : []);
  const argv = [...entrypoint, ...command];
  if (argv.length > 0 && argv[0] !== '') return argv;
  throw new HearthError(
    'EntrypointNotFound',
    `image "${run.imageText}" names no program, and none was given`,
    { hint: 'give a command: hearth run IMAGE PROGRAM' },
  );
}

/** Asked for over image over defaults; a later one replaces an earlier one of the same name. */
function envOf(run: ParsedRun, site: RunSite, hostname: string): string[] {
  const env = new Map([
    ['PATH', PATH_DEFAULT],
    ['HOSTNAME', hostname],
  ]);
  for (const pair of site.config.config?.Env ?? []) {
    const at = pair.indexOf('=');
    if (at > 0) env.set(pair.slice(0, at), pair.slice(at + 1));
  }
  for (const [name, value] of Object.entries(run.env)) env.set(name, value);
  if (!env.has('HOME')) env.set('HOME', site.account.home ?? '/');
  return [...env].map(([name, value]) => `${name}=${value}`);
}

function cwdOf(workingDir: string | undefined): string {
  if (workingDir === undefined || workingDir === '') return '/';
  return workingDir.startsWith('/') ? workingDir : `/${workingDir}`;
}

/** On a network with names a container is known by its own, whatever its host name. */
function aliasesOf(run: ParsedRun, name: string, hostname: string): string[] {
  if (run.network === 'none' || run.network === 'bridge') return [];
  const all = new Set([...run.aliases, name]);
  all.delete(hostname);
  return [...all];
}

function given<K extends string, V>(key: K, values: readonly V[]): { [P in K]?: readonly V[] } {
  return (values.length === 0 ? {} : { [key]: values }) as { [P in K]?: readonly V[] };
}
