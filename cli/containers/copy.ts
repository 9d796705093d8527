import { existsSync } from 'node:fs';
import { lstat, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, posix, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { packTar, readTar } from '../../lib/archive/tar.ts';
import type { ContainerInfo, PathStat } from '../../lib/container-api.ts';
import { errnoCode, HearthError } from '../../lib/errors.ts';
import { connect } from '../connection.ts';
import { usageError } from '../errors.ts';
import type { ApiClient } from '../http.ts';
import type { Context } from '../options.ts';
import { type CopyPlan, landing, parseCopy } from './copy-plan.ts';
import { containerPath, findContainer } from './find-container.ts';
import { localFault, unreadable } from './local-fault.ts';
import { unpackInto } from './unpack-into.ts';
import { walkTree } from './walk-tree.ts';

export interface CopyFlags {
  node?: string;
  /** Of a source that is a link, what it leads to. */
  followLink?: boolean;
}

const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;
const S_IFLNK = 0o120000;

/**
 * `hearth cp NAME:PATH LOCAL`, `hearth cp LOCAL NAME:PATH`: files and folders, by the rules of docker cp; `-`
 * is a tar on stdin or stdout.
 */
export async function copy(
  context: Context,
  source: string,
  target: string,
  flags: CopyFlags,
): Promise<number> {
  const plan = parseCopy(source, target);
  const api = connect(context);
  const container = await findContainer(api, plan.container, flags.node);
  try {
    await copyPlanned(api, container, { ...plan, followLink: flags.followLink === true });
  } catch (error) {
    throw localFault(error);
  }
  return 0;
}

async function copyPlanned(
  api: ApiClient,
  container: ContainerInfo,
  { followLink, ...plan }: CopyPlan & { followLink: boolean },
): Promise<void> {
  if (plan.kind === 'out') {
    const inside = followLink ? await linkTarget(api, container, plan.inside) : plan.inside;
    await copyOut(api, container, { ...plan, inside });
  } else {
    const local = followLink && plan.local !== '-' ? await realPath(plan.local) : plan.local;
    await copyIn(api, container, { ...plan, local, name: basename(resolve(plan.local)) });
  }
}

async function copyOut(api: ApiClient, container: ContainerInfo, plan: CopyPlan): Promise<void> {
  const query = { path: plan.inside, node: container.node };
  const answer = await api.call(containerPath(container.id, 'archive'), { query });
  if (plan.local === '-') return pipeline(answer, process.stdout, { end: false });
  const root = statOf(answer.headers['hearth-path-stat']);
  if (isSpecial(root.mode)) {
    answer.destroy();
    throw usageError(`cannot copy ${plan.inside}: it is a device, a socket or a FIFO`);
  }
  const isFolder = (root.mode & S_IFMT) === S_IFDIR;
  const at = landing({
    name: root.name,
    isFolder,
    contentsOnly: plan.contentsOnly,
    target: await localKind(plan.local),
    targetPath: resolve(plan.local),
    wantsFolder: plan.local.endsWith('/'),
  });
  if ('fault' in at) throw usageError(`cannot copy to ${plan.local}: ${at.fault}`);
  await unpackInto(dirname(at.path), {
    entries: readTar(answer),
    root: basename(at.path),
    from: root.name,
  });
}

async function copyIn(
  api: ApiClient,
  container: ContainerInfo,
  plan: CopyPlan & { name: string },
): Promise<void> {
  const path = containerPath(container.id, 'archive');
  const { node } = container;
  if (plan.local === '-') {
    const query = { path: plan.inside, node };
    await api.json(path, { method: 'PUT', query, body: process.stdin });
    return;
  }
  const local = await lstat(plan.local).catch((error: unknown) => {
    throw unreadable(plan.local, error);
  });
  const target = await insideKind(api, path, { path: plan.inside, node });
  const at = landing({
    name: plan.name,
    isFolder: local.isDirectory(),
    contentsOnly: plan.contentsOnly,
    target,
    targetPath: posix.resolve('/', plan.inside),
    wantsFolder: plan.inside.endsWith('/'),
  });
  if ('fault' in at)
    throw usageError(`cannot copy to ${container.name}:${plan.inside}: ${at.fault}`);
  const body = packTar(walkTree(resolve(plan.local), posix.basename(at.path)));
  await api.json(path, { method: 'PUT', query: { path: posix.dirname(at.path), node }, body });
}

/** Neither file nor folder nor link. */
function isSpecial(mode: number): boolean {
  return ![S_IFREG, S_IFDIR, S_IFLNK].includes(mode & S_IFMT);
}

/** What a link in a container leads to: its own target, which must stand inside; any other path as it is. */
async function linkTarget(api: ApiClient, container: ContainerInfo, path: string): Promise<string> {
  const options = { method: 'HEAD', query: { path, node: container.node } };
  const answer = await api.raw(containerPath(container.id, 'archive'), options);
  answer.resume();
  const header = answer.headers['hearth-path-stat'];
  if (header === undefined) return path;
  const { linkTarget: target } = statOf(header);
  return target === '' ? path : posix.resolve(posix.dirname(path), target);
}

async function realPath(path: string): Promise<string> {
  const target = await realpath(path).catch((error: unknown) => {
    throw unreadable(path, error);
  });
  return path.endsWith('/.') ? `${target}/.` : target;
}

type Kind = 'folder' | 'file' | 'nothing';

async function localKind(path: string): Promise<Kind> {
  try {
    return (await stat(path)).isDirectory() ? 'folder' : 'file';
  } catch (error) {
    if (errnoCode(error) !== 'ENOENT') throw unreadable(path, error);
    if (existsSync(dirname(join(resolve(path), '.')))) return 'nothing';
    throw usageError(`cannot copy to ${path}: its folder does not exist`);
  }
}

/** What stands at a path of the container; a link there is what it leads to, if that is inside. */
async function insideKind(
  api: ApiClient,
  path: string,
  query: { path: string; node: string },
): Promise<Kind> {
  const answer = await api.raw(path, { method: 'HEAD', query });
  answer.resume();
  if (answer.statusCode === 404) return 'nothing';
  const header = answer.headers['hearth-path-stat'];
  if (header === undefined) {
    // The reason is in the body, which only a GET has
    await api.call(path, { query });
  }
  return (statOf(header).mode & S_IFMT) === S_IFDIR ? 'folder' : 'file';
}

function statOf(header: string | string[] | undefined): PathStat {
  try {
    return JSON.parse(Buffer.from(String(header), 'base64url').toString()) as PathStat;
  } catch {
    throw new HearthError('ResponseInvalid', 'the node did not say what stands at the path');
  }
}
