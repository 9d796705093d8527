import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { MIB } from '../../lib/limits.ts';
import type { LayeredTree } from '../layers/layered-tree.ts';

/** Ids of a user inside the image. */
export interface Owner {
  uid: number;
  gid: number;
}

/** The image's /etc/passwd and /etc/group as text; empty where it has none. */
export interface AccountFiles {
  passwd: string;
  group: string;
}

const IDS = 65_536;

/**
 * `user[:group]` of --chown, names or numbers. Without a group it takes the number of the user, where
 * USER (`userOf`) takes the user's group.
 * @throws Error with the reason
 */
export function ownerOf(text: string, files: AccountFiles): Owner {
  const [user = '', group, ...more] = text.split(':');
  if (user === '' || group === '' || more.length > 0) {
    throw new Error(`"${text}" is not USER or USER:GROUP`);
  }
  const account = find(files.passwd, user);
  const uid = idOf(user) ?? account?.id;
  if (uid === undefined) throw new Error(`"${user}" is no user of the image's /etc/passwd`);
  if (group === undefined) return { uid, gid: uid };
  const gid = idOf(group) ?? find(files.group, group)?.id;
  if (gid === undefined) throw new Error(`"${group}" is no group of the image's /etc/group`);
  return { uid, gid };
}

/** The files of a root file system, each a regular file of at most 1 MiB, or as if not there. */
export async function readAccounts(tree: LayeredTree): Promise<AccountFiles> {
  const [passwd, group] = await Promise.all([
    readSmall(tree, '/etc/passwd'),
    readSmall(tree, '/etc/group'),
  ]);
  return { passwd, group };
}

function idOf(text: string): number | undefined {
  if (!/^\d{1,10}$/.test(text)) return undefined;
  if (Number(text) < IDS) return Number(text);
  throw new Error(`id ${text} is not in 0 to ${IDS - 1}`);
}

/** The line of `name` (or of the id `name`) in passwd(5) or group(5). */
function find(file: string, name: string): { id: number } | undefined {
  for (const line of file.split('\n')) {
    const [lineName, , id = ''] = line.split(':');
    if (!/^\d{1,5}$/.test(id) || (lineName !== name && id !== name)) continue;
    return { id: Number(id) };
  }
  return undefined;
}

async function readSmall(tree: LayeredTree, path: string): Promise<string> {
  const { node } = tree.resolve(path);
  if (node?.kind !== 'file' || node.sizeBytes > MIB) return '';
  const file = await open(node.hostPath, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}
