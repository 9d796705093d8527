import { randomBytes } from 'node:crypto';
import {
  mkdirSync,
  opendirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { VolumeInfo } from '../../../lib/container-api.ts';
import { HearthError } from '../../../lib/errors.ts';
import { LIMITS } from '../../../lib/limits.ts';
import { removeTree } from '../../../lib/remove-tree.ts';
import type { Log } from '../../../lib/telemetry/log.ts';
import type { ContainerSpec } from '../container-spec.ts';
import type { Volumes } from '../engine-types.ts';
import { failpoint } from '../failpoints.ts';
import { volumeNameFault } from './mount-check.ts';
import { volumesFolder } from './mount-plan.ts';

/** What is kept of a volume on disk, beside its `data`. */
interface VolumeRecord {
  version: 1;
  name: string;
  labels: Readonly<Record<string, string>>;
  createdAtMs: number;
  /** Set while the image's files come into it: what is there may be a part of them. */
  filling: boolean;
}

/** Names with a dot in front are no volumes: what is being removed. */
const GONE = '.gone-';

/**
 * The named volumes of an engine: `<stateDir>/volumes/<name>/data`, whose files carry the image's
 * ids. The record is written before the folder is made and goes with it.
 */
export class EngineVolumes implements Volumes {
  readonly #folder: string;
  readonly #log: Log;
  readonly #records = new Map<string, VolumeRecord>();
  /** Names of volumes by id of the container that has them, or is about to. */
  readonly #held = new Map<string, readonly string[]>();
  /** Starts that fill volumes, by id of the container. */
  readonly #fills = new Map<
    string,
    { names: readonly string[]; over: PromiseWithResolvers<void> }
  >();

  constructor(options: { stateDir: string; log: Log }) {
    this.#folder = volumesFolder(options.stateDir);
    this.#log = options.log;
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(this.#folder)) {
      if (!name.startsWith(GONE) && !this.#load(name)) this.#setAside(name);
    }
  }

  create(wanted: { name?: string; labels?: Readonly<Record<string, string>> } = {}): VolumeInfo {
    const name = wanted.name ?? randomBytes(16).toString('hex');
    const fault = volumeNameFault(name);
    if (fault !== undefined) throw new HearthError(fault.code, fault.message);
    if (this.#records.has(name)) {
      throw new HearthError('Conflict', `volume "${name}" exists already`);
    }
    if (this.#records.size >= LIMITS.volumesMax) {
      const hint = 'remove volumes that nothing uses';
      const message = `this node has ${this.#records.size} volumes, limit ${LIMITS.volumesMax}`;
      throw new HearthError('NodeFull', message, { hint });
    }
    const labels = { ...wanted.labels };
    const record: VolumeRecord = {
      version: 1,
      name,
      labels,
      createdAtMs: Date.now(),
      filling: false,
    };
    mkdirSync(join(this.#folder, name), { mode: 0o700 });
    failpoint('volumes.create.after-folder');
    this.#write(record);
    failpoint('volumes.create.after-record');
    mkdirSync(join(this.#folder, name, 'data'), { mode: 0o755 });
    failpoint('volumes.create.after-data');
    return this.#info(record);
  }

  list(): VolumeInfo[] {
    return [...this.#records.values()].map((record) => this.#info(record));
  }

  get(name: string): VolumeInfo | undefined {
    const record = this.#records.get(name);
    return record === undefined ? undefined : this.#info(record);
  }

  async remove(name: string): Promise<void> {
    const record = this.#records.get(name);
    if (record === undefined) throw missing(name);
    const users = this.#usersOf(name);
    if (users.length > 0) {
      const hint = 'remove these containers first';
      throw new HearthError('Conflict', `volume "${name}" is used by ${users.join(', ')}`, {
        hint,
      });
    }
    this.#records.delete(name);
    failpoint('volumes.remove.before');
    await this.#removeFolder(this.#setAside(name));
    failpoint('volumes.remove.after-files');
  }

  /**
   * Keeps the volumes of a container from being removed, until `release`. Answers those that are
   * empty, which are going to be filled; one that another start fills is waited for, as a part of
   * the image's files would be taken for all. @throws HearthError NotFound
   */
  async hold(id: string, spec: Pick<ContainerSpec, 'mounts'>): Promise<Set<string>> {
    const names = volumesOf(spec);
    if (names.length === 0) return new Set();
    // Nothing is held meanwhile, so that no two wait for each other
    for (let fill = this.#fillOf(names); fill !== undefined; fill = this.#fillOf(names)) await fill;
    const absent = names.find((name) => !this.#records.has(name));
    if (absent !== undefined) throw missing(absent);
    const empty = names.filter((name) => this.#isToFill(name));
    this.#held.set(id, names);
    if (empty.length > 0) this.#fills.set(id, { names: empty, over: Promise.withResolvers() });
    return new Set(empty);
  }

  /** One of an earlier process still has its volumes. */
  adopt(id: string, spec: Pick<ContainerSpec, 'mounts'>): void {
    const names = volumesOf(spec);
    if (names.length === 0) return;
    this.#held.set(id, names);
    this.used(id);
  }

  /** The container has begun: its volumes are what they are from now on. */
  used(id: string): void {
    for (const name of this.#held.get(id) ?? []) {
      const record = this.#records.get(name);
      if (record?.filling === true) this.#write({ ...record, filling: false });
    }
    this.#endFill(id);
  }

  release(id: string): void {
    this.#held.delete(id);
    this.#endFill(id);
  }

  /** Removes what was being removed when an earlier process ended, or was never finished. */
  async sweep(): Promise<void> {
    const gone = readdirSync(this.#folder).filter((name) => name.startsWith(GONE));
    for (const name of gone) await this.#removeFolder(join(this.#folder, name));
  }

  /** Takes the folder away if there are none. */
  close(): void {
    try {
      rmdirSync(this.#folder);
    } catch {
      // Volumes outlive the engine
    }
  }

  /** Whether there is a whole record of it. */
  #load(name: string): boolean {
    try {
      const record = JSON.parse(readFileSync(join(this.#folder, name, 'volume.json'), 'utf8'));
      if (record?.version !== 1 || record.name !== name) return false;
      mkdirSync(join(this.#folder, name, 'data'), { recursive: true, mode: 0o755 });
      this.#records.set(name, record as VolumeRecord);
      return true;
    } catch (error) {
      this.#log.warn({ volume: name, error: String(error) }, 'volume without a record is removed');
      return false;
    }
  }

  /** Whole or not at all. */
  #write(record: VolumeRecord): void {
    const file = join(this.#folder, record.name, 'volume.json');
    writeFileSync(`${file}.new`, JSON.stringify(record), { mode: 0o600 });
    renameSync(`${file}.new`, file);
    this.#records.set(record.name, record);
  }

  /** Resolves when a start that fills one of these has begun or failed; undefined if none does. */
  #fillOf(names: readonly string[]): Promise<void> | undefined {
    const fills = [...this.#fills.values()];
    return fills.find((fill) => fill.names.some((name) => names.includes(name)))?.over.promise;
  }

  #endFill(id: string): void {
    this.#fills.get(id)?.over.resolve();
    this.#fills.delete(id);
  }

  /** Whether it is empty; then it says on disk what is about to come. */
  #isToFill(name: string): boolean {
    const record = this.#records.get(name);
    if (record === undefined) return false;
    // What a start that failed has copied goes, if no other one is at it
    if (record.filling && this.#usersOf(name).length === 0) this.#empty(name);
    if (!isEmpty(join(this.#folder, name, 'data'))) return false;
    if (!record.filling) this.#write({ ...record, filling: true });
    return true;
  }

  #empty(name: string): void {
    const gone = this.#setAside(join(name, 'data'));
    mkdirSync(join(this.#folder, name, 'data'), { mode: 0o755 });
    void this.#removeFolder(gone);
  }

  /** Out of sight at once; to remove what it holds may take longer. Answers where it is now. */
  #setAside(path: string): string {
    const gone = join(this.#folder, `${GONE}${randomBytes(8).toString('hex')}`);
    renameSync(join(this.#folder, path), gone);
    failpoint('volumes.remove.after-rename');
    return gone;
  }

  async #removeFolder(at: string): Promise<void> {
    try {
      await removeTree(at);
    } catch (error) {
      this.#log.warn({ folder: at, error: String(error) }, 'folder of a volume stays');
    }
  }

  #usersOf(name: string): string[] {
    return [...this.#held].filter(([, names]) => names.includes(name)).map(([id]) => id);
  }

  #info({ name, labels, createdAtMs }: VolumeRecord): VolumeInfo {
    return { name, labels: { ...labels }, createdAtMs, usedBy: this.#usersOf(name) };
  }
}

function volumesOf(spec: Pick<ContainerSpec, 'mounts'>): string[] {
  const names = (spec.mounts ?? []).flatMap((mount) =>
    mount.kind === 'volume' ? [mount.volume] : [],
  );
  return [...new Set(names)];
}

/** Without reading more of it than one name. */
function isEmpty(folder: string): boolean {
  const entries = opendirSync(folder);
  const first = entries.readSync();
  entries.closeSync();
  return first === null;
}

function missing(name: string): HearthError {
  const hint = 'volumes are created before containers that mount them';
  return new HearthError('NotFound', `volume "${name}" does not exist on this node`, { hint });
}
