import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { parseArgs } from 'node:util';
import {
  bindPathFault,
  installedRuntimes,
  networkFault,
  runtimeFault,
  splitList,
  uidFault,
} from './config-lists.ts';
import { errnoCode, HearthError } from './errors.ts';
import { nearName } from './names.ts';
import { suggest } from './suggest.ts';

/** Configuration of every daemon: flags over `HEARTH_*` over the JSON file over these defaults. */
export interface Config {
  /** All state of this machine. */
  dataRoot: string;
  /** Interface and port of the daemon's API. Port 0 takes a free one. */
  host: string;
  port: number;
  /** Name of this daemon among its like: the node's name, the gateway's name. */
  name: string;
  redisUrl: string;
  /** Prefix of every key in Redis: two platforms can share one server. */
  storePrefix: string;
  /** Base URL of the platform's registry. */
  registryUrl: string;
  /** Port of the builder's embedded registry. */
  registryPort: number;
  /** Base URL that users see; empty: from host and port. */
  publicUrl: string;
  /** Base URL under which other daemons reach this one; empty: from host and port. */
  advertiseUrl: string;
  /** Addresses of instances on this node (node agent) or of build steps (builder): CIDR. */
  subnet: string;
  /** First host uid of the containers' ranges of 65536. */
  uidBase: number;
  /** Users of this host, by uid, that may connect to containers beside root: a comma list; empty: all. */
  containerUsers: string;
  /** Host folders that containers may mount, with everything below: a comma list. */
  bindPaths: string;
  /** Private networks that every container may reach: a comma list of CIDR. */
  allowedNetworks: string;
  /** Other OCI runtimes: a comma list of NAME=PATH, arguments behind the path. */
  runtimes: string;
  logLevel: string;
}

type Key = keyof Config;
type Parse = (text: string) => string | number;

interface KeySpec {
  doc: string;
  fallback: string | number;
  parse: Parse;
}

const text: Parse = (value) => value;

function integer(min: number, max: number): Parse {
  return (value) => {
    const number = Number(value);
    if (Number.isInteger(number) && number >= min && number <= max) return number;
    throw new Error(`must be an integer from ${min} to ${max}: current value is "${value}"`);
  };
}

function oneOf(...words: string[]): Parse {
  return (value) => {
    if (words.includes(value)) return value;
    throw new Error(`must be one of ${words.join(', ')}: current value is "${value}"`);
  };
}

/** A comma list, whose first bad entry is named. */
function list(fault: (entry: string) => string | undefined): Parse {
  return (value) => {
    for (const entry of splitList(value)) {
      const found = fault(entry);
      if (found !== undefined) throw new Error(`${found}: current value is "${entry}"`);
    }
    return value;
  };
}

function url(...protocols: string[]): Parse {
  return (value) => {
    if (value === '' || protocols.some((p) => value.startsWith(`${p}://`))) return value;
    throw new Error(`must start with ${protocols.join(':// or ')}://: current value is "${value}"`);
  };
}

/** Every key with its meaning, default and bounds; `hearth <daemon> --help` prints it. */
export const CONFIG_KEYS: Readonly<Record<Key, KeySpec>> = {
  dataRoot: { doc: 'folder of all state', fallback: '/var/lib/hearth', parse: text },
  host: { doc: 'interface to listen on', fallback: '127.0.0.1', parse: text },
  port: { doc: 'port to listen on; 0 takes a free one', fallback: 0, parse: integer(0, 65_535) },
  name: {
    doc: 'name of this daemon among its like',
    fallback: nearName(hostname()) ?? 'node',
    parse: text,
  },
  redisUrl: {
    doc: 'Redis: redis://, rediss:// or unix://PATH',
    fallback: '',
    parse: url('redis', 'rediss', 'unix'),
  },
  storePrefix: { doc: 'prefix of all keys in Redis', fallback: 'hearth', parse: text },
  registryUrl: { doc: 'registry of the platform', fallback: '', parse: url('http', 'https') },
  registryPort: {
    doc: 'port of the embedded registry; 0 takes a free one',
    fallback: 0,
    parse: integer(0, 65_535),
  },
  publicUrl: { doc: 'base URL that users see', fallback: '', parse: url('http', 'https') },
  advertiseUrl: {
    doc: 'base URL under which other daemons reach this one',
    fallback: '',
    parse: url('http', 'https'),
  },
  subnet: { doc: 'addresses of containers, a CIDR', fallback: '10.62.0.0/17', parse: text },
  uidBase: {
    doc: 'first host uid of the containers',
    fallback: 0x2000_0000,
    parse: integer(65_536, 0x6fff_0000),
  },
  containerUsers: {
    doc: 'uids that may connect to containers, beside root: a comma list; empty: all',
    fallback: '',
    parse: list(uidFault),
  },
  bindPaths: {
    doc: 'host folders that containers may mount: a comma list',
    fallback: '',
    parse: list(bindPathFault),
  },
  allowedNetworks: {
    doc: 'private networks that every container may reach: a comma list of CIDR',
    fallback: '',
    parse: list(networkFault),
  },
  runtimes: {
    doc: 'other OCI runtimes: a comma list of NAME=PATH',
    fallback: installedRuntimes(),
    parse: list(runtimeFault),
  },
  logLevel: {
    doc: 'how much is logged',
    fallback: 'info',
    parse: oneOf('trace', 'debug', 'info', 'warn', 'error', 'silent'),
  },
};

export type DaemonName = 'gateway' | 'node-agent' | 'builder' | 'scheduler';

/** Defaults that a daemon changes: all of them fit on one machine side by side. */
export const DAEMON_DEFAULTS = {
  gateway: { port: 8080 },
  'node-agent': { port: 8081 },
  builder: { port: 8082, registryPort: 8084, subnet: '10.62.128.0/17', uidBase: 0x3000_0000 },
  scheduler: { port: 8083 },
} as const satisfies Record<DaemonName, Partial<Config>>;

export interface ConfigSources {
  /** Arguments after the daemon's name, `--data-root DIR` style. */
  argv: readonly string[];
  env: Readonly<Record<string, string | undefined>>;
  /** Defaults that this daemon changes, e.g. its port. */
  defaults?: Partial<Config>;
  /** Path of the JSON file; absent: `HEARTH_CONFIG`, else /etc/hearth/hearth.json if it is there. */
  file?: string;
}

const FILE_DEFAULT = '/etc/hearth/hearth.json';

/** Path of the JSON file, which need not be there. */
export function configPath(env: ConfigSources['env']): string {
  return env.HEARTH_CONFIG ?? FILE_DEFAULT;
}

/**
 * The frozen configuration.
 * @throws HearthError ConfigInvalid that names every fault at once, each with the value found
 */
export function loadConfig(sources: ConfigSources): Readonly<Config> {
  const faults: string[] = [];
  const layers = [
    { origin: 'flag', values: flagValues(sources.argv, faults) },
    { origin: 'environment', values: envValues(sources.env) },
    { origin: 'file', values: fileValues(sources, faults) },
  ];
  const config: Partial<Record<Key, string | number>> = {};
  for (const key of keys()) {
    const spec = CONFIG_KEYS[key];
    config[key] = sources.defaults?.[key] ?? spec.fallback;
    const layer = layers.find((candidate) => candidate.values[key] !== undefined);
    if (layer === undefined) continue;
    try {
      config[key] = spec.parse(layer.values[key] ?? '');
    } catch (error) {
      faults.push(`${nameIn(layer.origin, key)} ${(error as Error).message}`);
    }
  }
  if (faults.length > 0) throw new HearthError('ConfigInvalid', faults.join('; '));
  return Object.freeze(config as unknown as Config);
}

type Values = Partial<Record<Key, string>>;

function keys(): Key[] {
  return Object.keys(CONFIG_KEYS) as Key[];
}

/** dataRoot → data-root */
export function flagOf(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** dataRoot → HEARTH_DATA_ROOT */
export function envOf(key: string): string {
  return `HEARTH_${flagOf(key).replaceAll('-', '_').toUpperCase()}`;
}

function nameIn(origin: string, key: Key): string {
  if (origin === 'flag') return `--${flagOf(key)}`;
  return origin === 'environment' ? envOf(key) : `${origin} key "${key}"`;
}

function flagValues(argv: readonly string[], faults: string[]): Values {
  const options = Object.fromEntries(
    keys().map((key) => [flagOf(key), { type: 'string' }] as const),
  );
  const parsed = parseArgs({ args: [...argv], options, strict: false, allowPositionals: true });
  const values: Values = {};
  const known = new Map(keys().map((key) => [flagOf(key), key]));
  for (const [flag, value] of Object.entries(parsed.values)) {
    const key = known.get(flag);
    if (key === undefined) faults.push(unknown(`flag --${flag}`, flag, known.keys(), '--'));
    else values[key] = String(value);
  }
  for (const word of parsed.positionals) faults.push(`unexpected argument "${word}"`);
  return values;
}

function envValues(env: ConfigSources['env']): Values {
  const values: Values = {};
  for (const key of keys()) {
    const value = env[envOf(key)];
    if (value !== undefined) values[key] = value;
  }
  return values;
}

function fileValues(sources: ConfigSources, faults: string[]): Values {
  const asked = sources.file ?? sources.env.HEARTH_CONFIG;
  const path = sources.file ?? configPath(sources.env);
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    if (asked === undefined && errnoCode(error) === 'ENOENT') return {};
    faults.push(`config file ${path} cannot be read: ${(error as Error).message}`);
    return {};
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    faults.push(`config file ${path} must hold one JSON object`);
    return {};
  }
  const values: Values = {};
  for (const [key, value] of Object.entries(parsed)) {
    if (Object.hasOwn(CONFIG_KEYS, key)) values[key as Key] = String(value);
    else faults.push(unknown(`key "${key}" in ${path}`, key, keys(), ''));
  }
  return values;
}

function unknown(what: string, word: string, candidates: Iterable<string>, prefix: string): string {
  const near = suggest(word, candidates);
  return `unknown ${what}${near === undefined ? '' : ` (did you mean ${prefix}${near}?)`}`;
}
