import { HearthError } from '../../lib/errors.ts';

/** Whom a container's process runs as, inside its user namespace. */
export interface ContainerUser {
  uid: number;
  gid: number;
  groups: number[];
}

/** The image's account files; undefined where the image has none. */
export interface AccountFiles {
  passwd: string | undefined;
  group: string | undefined;
}

/** A container's user namespace has this many ids. */
const IDS = 65_536;
const GROUPS_MAX = 64;
const NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}\$?$/;

/** Whether `user` can only be resolved with the image's account files. */
export function needsAccounts(user: string): boolean {
  return user !== '' && !/^\d+:\d+$/.test(user);
}

/**
 * `USER` of an image (OCI image spec, config.User): empty, `user`, `uid`, `user:group`, `uid:gid`,
 * mixed. Without a group: the one of the user's line and those that list it, else 0.
 * @throws HearthError StartFailed when it names nobody, or an id outside of the container's range
 */
export function userOf(user: string, files: AccountFiles): ContainerUser {
  if (user === '') return { uid: 0, gid: 0, groups: [] };
  const [userPart = '', groupPart, ...more] = user.split(':');
  if (more.length > 0 || groupPart === '') throw unknownUser(user, 'is not USER or USER:GROUP');
  const uid = idOf(user, userPart);
  const account = findAccount(files.passwd ?? '', userPart, uid);
  if (uid === undefined && account === undefined) {
    throw unknownUser(user, `names no user of the image’s /etc/passwd`);
  }
  const resolved = { uid: uid ?? account?.uid ?? 0, gid: account?.gid ?? 0 };
  if (groupPart !== undefined) {
    return { ...resolved, gid: groupOf(user, groupPart, files.group ?? ''), groups: [] };
  }
  const groups = account === undefined ? [] : groupsWith(files.group ?? '', account.name);
  return { ...resolved, groups: groups.filter((gid) => gid !== resolved.gid) };
}

/** Where the image's /etc/passwd says that a user is at home; undefined for one it does not have. */
export function homeOf(uid: number, files: AccountFiles): string | undefined {
  const row = rows(files.passwd ?? '').find(([, , id]) => validId(id) === uid);
  const home = row?.[5];
  return home?.startsWith('/') === true && !home.includes('\0') ? home : undefined;
}

/** The number that `part` is; undefined when it is a name. */
function idOf(user: string, part: string): number | undefined {
  if (/^\d{1,10}$/.test(part)) {
    const id = Number(part);
    if (id < IDS) return id;
    throw unknownUser(user, `has an id outside of 0 to ${IDS - 1}`);
  }
  if (NAME.test(part) && !/^\d+$/.test(part)) return undefined;
  throw unknownUser(user, 'is neither an id nor a name');
}

function groupOf(user: string, part: string, groupFile: string): number {
  const gid = idOf(user, part);
  if (gid !== undefined) return gid;
  for (const [name, , id] of rows(groupFile)) {
    const found = validId(id);
    if (name === part && found !== undefined) return found;
  }
  throw unknownUser(user, `names no group of the image’s /etc/group`);
}

function findAccount(
  passwd: string,
  name: string,
  uid: number | undefined,
): { name: string; uid: number; gid: number } | undefined {
  for (const [accountName = '', , uidText, gidText] of rows(passwd)) {
    const found = { uid: validId(uidText), gid: validId(gidText) };
    if (found.uid === undefined || found.gid === undefined) continue;
    if (uid === undefined ? accountName === name : found.uid === uid) {
      return { name: accountName, uid: found.uid, gid: found.gid };
    }
  }
  return undefined;
}

function groupsWith(groupFile: string, name: string): number[] {
  const groups = new Set<number>();
  for (const [, , id, members] of rows(groupFile)) {
    const gid = validId(id);
    if (gid === undefined || !(members ?? '').split(',').includes(name)) continue;
    if (groups.size < GROUPS_MAX) groups.add(gid);
  }
  return [...groups];
}

/** Lines of passwd(5) and group(5) as their fields. */
function rows(text: string): string[][] {
  return text
    .split('\n')
    .filter((line) => line.includes(':') && !line.startsWith('#'))
    .map((line) => line.trim().split(':'));
}

function validId(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,10}$/.test(text)) return undefined;
  const id = Number(text);
  return id < IDS ? id : undefined;
}

function unknownUser(user: string, why: string): HearthError {
  return new HearthError('StartFailed', `image USER ${JSON.stringify(user.slice(0, 80))} ${why}`, {
    hint: 'set USER in the Dockerfile to a user that the image has, or to a number',
  });
}
