import { HearthError } from '../../lib/errors.ts';
import { MIB } from '../../lib/limits.ts';
import { type AccountFiles, type ContainerUser, homeOf, userOf } from '../images/user-of.ts';
import { readLayerFile } from '../instances/read-layer-file.ts';

/** Whom a program runs as, and where that user is at home. */
export interface Account {
  user: ContainerUser;
  /** Undefined for a user that the image does not know. */
  home: string | undefined;
}

/** Who is asked for: by the one who runs, or else by the image. */
export interface AccountQuestion {
  asked: string | undefined;
  /** `config.User` of the image. */
  image: string;
}

/**
 * Looks a user up in the account files of an image's layers, each at most 1 MiB.
 * @throws HearthError BadRequest for the asked user, StartFailed for the image's
 */
export async function accountOf(
  layers: readonly string[],
  { asked, image }: AccountQuestion,
): Promise<Account> {
  return accountIn(await readAccounts(layers), { asked, image });
}

/** The same in account files that are read already. @throws HearthError BadRequest, StartFailed */
export function accountIn(files: AccountFiles, { asked, image }: AccountQuestion): Account {
  const user = asked === undefined ? userOf(image, files) : askedUser(asked, files);
  return { user, home: homeOf(user.uid, files) };
}

async function readAccounts(layers: readonly string[]): Promise<AccountFiles> {
  const [passwd, group] = await Promise.all(
    ['passwd', 'group'].map((name) => readLayerFile(layers, ['etc', name], MIB)),
  );
  return { passwd, group };
}

function askedUser(asked: string, files: AccountFiles): ContainerUser {
  try {
    return userOf(asked, files);
  } catch (error) {
    if (!(error instanceof HearthError)) throw error;
    const message = error.message.replace(/^image USER/, 'user');
    throw new HearthError('BadRequest', message, {
      hint: 'name a user that the image has, or give numbers: UID or UID:GID',
    });
  }
}
