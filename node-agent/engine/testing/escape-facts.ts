import { capabilityBits, capabilityNumber } from '../seccomp/capabilities.ts';

/** One line of the probe: what kind of fact, about what, and what was found. */
export interface Fact {
  kind: string;
  name: string;
  value: string;
}

/** Where the probe ran, as far as what it must find depends on that. */
export interface ProbedPlace {
  uid: number;
  /** Of the container. */
  capabilities: readonly string[];
  hostname: string;
  openFiles: number;
  /** How many descriptors it is given; 3 without a listener and a status pipe. */
  descriptors?: number;
  /** Another OCI runtime made it. */
  isRuntimes?: boolean;
  /** It stands on a terminal of its own. */
  hasTerminal?: boolean;
  /** Paths of the host that no mount may tell. */
  hostPaths: readonly string[];
  /** Namespaces by kind that must be others: the host's, a sibling's. */
  others: readonly ReadonlyMap<string, string>[];
}

/** One row of the table of facts. */
export interface FactRow {
  title: string;
  found: string;
  required: string;
  isAsRequired: boolean;
}

const REFUSED = /^E[A-Z0-9]+$/;
/** Nodes that hold nothing of the host's, as under Docker. */
const DEVICES: Readonly<Record<string, string>> = {
  null: '1:3',
  zero: '1:5',
  full: '1:7',
  random: '1:8',
  urandom: '1:9',
  tty: '5:0',
};
/** So few that the walk has seen nothing. */
const WALKED_MIN = 200;

/** What each fact must be, in a container of the engine's. */
export function factRows(facts: readonly Fact[], place: ProbedPlace): FactRow[] {
  return [
    ...facts.map((fact) => rowOf(fact, place)),
    ...countRow(facts, 'writable', 'files of /proc and /sys open for writing'),
    ...countRow(facts, 'agent', 'release_agent files'),
  ];
}

function countRow(facts: readonly Fact[], kind: string, title: string): FactRow[] {
  const found = facts.filter((fact) => fact.kind === kind).length;
  return [{ title, found: String(found), required: '0', isAsRequired: found === 0 }];
}

function rowOf(fact: Fact, place: ProbedPlace): FactRow {
  const { kind, name, value } = fact;
  const row = (required: string, isAsRequired: boolean): FactRow => ({
    title: `${kind} ${name}`,
    found: value,
    required,
    isAsRequired,
  });
  const equals = (wanted: string) => row(wanted, value === wanted);
  switch (kind) {
    case 'status':
      return equals(statusOf(name, place) ?? value);
    case 'fds': {
      const count = place.descriptors ?? 3;
      return equals(name === 'listed' ? String(count) : [...Array(count).keys()].join(' '));
    }
    case 'namespace': {
      const others = place.others.map((other) => other.get(name));
      return row('its own', value.startsWith(`${name}:[`) && !others.includes(value));
    }
    case 'mount': {
      const wrong = mountFault(value, place);
      return row(wrong ?? 'private, closed, nameless', wrong === undefined);
    }
    case 'masked':
      return row(
        'nothing to read',
        ['absent', 'empty', 'null'].includes(value) || REFUSED.test(value),
      );
    case 'first':
      return row('refused', name === 'self' || value === 'nothing' || REFUSED.test(value));
    case 'other':
      return row('refused', ['nothing', 'own'].includes(value) || REFUSED.test(value));
    case 'self':
      if (name === 'hostname') return equals(place.hostname);
      if (name === 'tty' && place.hasTerminal === true) return equals('OK');
      return row('refused', REFUSED.test(value));
    case 'limit':
      return equals(name === 'core' ? '0 0' : `${place.openFiles} ${place.openFiles}`);
    case 'device':
      return equals(DEVICES[name] ?? 'none');
    case 'walked':
      return row(`at least ${WALKED_MIN}`, Number(value) >= WALKED_MIN);
    default:
      // Each of them is one too many
      return row('none', false);
  }
}

/** Of /proc/self/status; undefined for what is not judged. */
function statusOf(name: string, { uid, capabilities }: ProbedPlace): string | undefined {
  const hex = (bits: bigint) => bits.toString(16).padStart(16, '0');
  const given = capabilityBits(capabilities.flatMap((name) => capabilityNumber(name) ?? []));
  const values: Readonly<Record<string, string>> = {
    Uid: [uid, uid, uid, uid].join('\t'),
    CapInh: hex(0n),
    CapAmb: hex(0n),
    CapBnd: hex(given),
    CapPrm: hex(uid === 0 ? given : 0n),
    CapEff: hex(uid === 0 ? given : 0n),
    NoNewPrivs: '1',
    Seccomp: '2',
  };
  return values[name];
}

/** A line of mountinfo (proc_pid_mountinfo(5)): what is wrong with it, if anything is. */
function mountFault(line: string, { hostPaths, isRuntimes }: ProbedPlace): string | undefined {
  const [fields = '', rest = ''] = line.split(' - ');
  const [, , , root = '', at = '', options = '', ...optional] = fields.trim().split(' ');
  const flags = options.split(',');
  const isDevice = at.startsWith('/dev/') || root === '/null';
  const wanted = [
    'nosuid',
    ...(at === '/dev' || isDevice ? [] : ['nodev']),
    ...(/^\/(dev|proc|sys)(\/|$)/.test(at) ? ['noexec'] : []),
    ...(/^\/sys(\/|$)/.test(at) ? ['ro'] : []),
  ];
  // Another runtime binds the host's harmless devices, one by one, and masks with a bare tmpfs
  const isBound = isRuntimes === true && (`/dev${root}` === at || root === '/null');
  const isMask = isRuntimes === true && flags.includes('ro') && / tmpfs tmpfs ro/.test(line);
  const missing = isBound || isMask ? [] : wanted.filter((flag) => !flags.includes(flag));
  if (missing.length > 0) return missing.join(', ');
  if (optional.length > 0) return 'private';
  if (hostPaths.some((path) => line.includes(path))) return 'no path of the host';
  const isOwnRoot = root === '/' || root === '/null' || /^\/files\/\d+$/.test(root);
  if (!isOwnRoot && !isBound && at !== `/proc${root}`) return 'no path of the host as its root';
  return rest === '' ? 'a type' : undefined;
}
