import { HearthError } from '../../lib/errors.ts';
import { LIMITS } from '../../lib/limits.ts';
import type { ImageConfig } from '../../lib/oci/types.ts';
import { parseEgress } from '../../lib/spec/egress-text.ts';
import { parseMount } from '../../lib/spec/mount-text.ts';
import type { StartInstanceRequest } from '../api/types.ts';
import type {
  ContainerMount,
  ContainerResources,
  ContainerSpec,
} from '../engine/container-spec.ts';
import { LABELS } from '../events/event-info.ts';
import type { ContainerUser } from '../images/user-of.ts';

/** What the agent adds to a start: names and host paths of its own. */
export interface InstanceSite {
  id: string;
  /** Unpacked layers of the image, lowest first. */
  layers: readonly string[];
  /** Where the listening socket of a `socket` instance is made. */
  socketPath: string;
  /** Text of the container's /etc/resolv.conf. */
  resolvConf: string;
  user: ContainerUser;
}

/** Docker's default, for an image that sets none. */
const PATH_DEFAULT = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * The container of an instance: the image's command in the image's folder as the image's user,
 * without any capability, within the function's limits.
 * @throws HearthError EntrypointNotFound when the image names no command
 */
export function containerSpecOf(
  request: StartInstanceRequest,
  config: ImageConfig,
  site: InstanceSite,
): ContainerSpec {
  const isSocket = request.contract === 'socket';
  return {
    id: site.id,
    hostname: site.id,
    labels: { [LABELS.function]: request.functionName, [LABELS.revision]: request.revisionId },
    layers: site.layers,
    argv: argvOf(request, config),
    env: envOf(request, config, site.id),
    cwd: cwdOf(config.config?.WorkingDir),
    user: site.user,
    capabilities: [],
    resources: resourcesOf(request),
    ...networkOf(request),
    ...given('mounts', mountsOf(request)),
    ...(request.ociRuntime === undefined ? {} : { ociRuntime: request.ociRuntime }),
    files: {
      '/etc/hosts': `127.0.0.1 localhost ${site.id}\n::1 localhost ip6-localhost\n`,
      '/etc/resolv.conf': site.resolvConf,
    },
    ...(isSocket ? { listenPath: site.socketPath, statusPipe: true } : {}),
  };
}

function resourcesOf(request: StartInstanceRequest): ContainerResources {
  const { inodes, shmBytes, swapBytes = 0, cpuWeight } = request;
  return {
    memoryBytes: request.memoryBytes,
    cpuMillis: request.cpuMillis,
    pids: request.pids,
    diskBytes: request.diskBytes ?? LIMITS.instanceDiskBytes,
    openFiles: request.openFiles ?? LIMITS.instanceOpenFiles,
    ...(inodes === undefined ? {} : { inodes }),
    ...(shmBytes === undefined ? {} : { shmBytes }),
    ...(swapBytes === 0 ? {} : { swapBytes }),
    ...(cpuWeight === undefined ? {} : { cpuWeight }),
  };
}

/** On a network with names an instance is known by its function's, as its siblings are. */
function networkOf(
  request: StartInstanceRequest,
): Pick<ContainerSpec, 'network' | 'aliases' | 'egress'> {
  const { aliases = [], egress = [], functionName, network = 'bridge' } = request;
  const rules = egress.flatMap((text) => parsed(parseEgress(text)));
  const names = network === 'bridge' ? [] : [...new Set([functionName, ...aliases])];
  return { network, ...given('aliases', names), ...given('egress', rules) };
}

function mountsOf({ tmpfs = {}, volumes = [] }: StartInstanceRequest): ContainerMount[] {
  const mounts: ContainerMount[] = volumes.flatMap((text) => parsed(parseMount(text)));
  for (const [target, sizeBytes] of Object.entries(tmpfs)) {
    mounts.push({ kind: 'tmpfs', target, sizeBytes });
  }
  return mounts;
}

/** Requests were read by the same parsers: a text that says a fault does not come this far. */
function parsed<T extends object>(value: T | string): T[] {
  return typeof value === 'string' ? [] : [value];
}

function given<K extends string, V>(key: K, values: readonly V[]): { [P in K]?: readonly V[] } {
  return (values.length === 0 ? {} : { [key]: values }) as { [P in K]?: readonly V[] };
}

/** Entrypoint then Cmd (OCI image spec, "Conversion to OCI Runtime Configuration"). */
function argvOf(request: StartInstanceRequest, config: ImageConfig): string[] {
  const argv = [...(config.config?.Entrypoint ?? []), ...(config.config?.Cmd ?? [])];
  if (argv.length > 0 && argv[0] !== '') return argv;
  throw new HearthError(
    'EntrypointNotFound',
    `image of "${request.functionName}" names no command: Entrypoint and Cmd are empty`,
    { hint: 'add CMD ["program", "argument"] to the Dockerfile' },
  );
}

function cwdOf(workingDir: string | undefined): string {
  if (workingDir === undefined || workingDir === '') return '/';
  return workingDir.startsWith('/') ? workingDir : `/${workingDir}`;
}

/** Image below platform below spec; a later one replaces an earlier one of the same name. */
function envOf(request: StartInstanceRequest, config: ImageConfig, id: string): string[] {
  const env = new Map<string, string>([['PATH', PATH_DEFAULT]]);
  for (const pair of config.config?.Env ?? []) {
    const at = pair.indexOf('=');
    if (at > 0) env.set(pair.slice(0, at), pair.slice(at + 1));
  }
  const platform: Record<string, string> = {
    PORT: String(request.port),
    HEARTH_FUNCTION: request.functionName,
    HEARTH_REVISION: request.revisionId,
    HEARTH_INSTANCE: id,
    HEARTH_TIMEOUT_MS: String(request.timeoutMs),
    K_SERVICE: request.functionName,
    K_REVISION: request.revisionId,
  };
  for (const [name, value] of Object.entries(platform)) env.set(name, value);
  for (const [name, value] of Object.entries(request.env)) env.set(name, value);
  if (!env.has('HOME')) env.set('HOME', '/tmp');
  return [...env].map(([name, value]) => `${name}=${value}`);
}
