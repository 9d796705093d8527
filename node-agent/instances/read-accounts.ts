import { MIB } from '../../lib/limits.ts';
import { readLayerFile } from './read-layer-file.ts';
import { type AccountFiles, needsAccounts } from './user-of.ts';

/** The image's /etc/passwd and /etc/group, each at most 1 MiB; not read when `user` needs neither. */
export async function readAccounts(user: string, layers: readonly string[]): Promise<AccountFiles> {
  if (!needsAccounts(user)) return { passwd: undefined, group: undefined };
  const [passwd, group] = await Promise.all(
    ['passwd', 'group'].map((name) => readLayerFile(layers, ['etc', name], MIB)),
  );
  return { passwd, group };
}
