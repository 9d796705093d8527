import { LIMITS, MIB } from '../../lib/limits.ts';
import type { LocalImage } from '../images/image-store-types.ts';
import { type AccountFiles, type ContainerUser, needsAccounts, userOf } from '../images/user-of.ts';
import { readLayerFile } from './read-layer-file.ts';

/** Whom images run as, remembered by digest: an image never changes, and a start shall not read. */
export class Users {
  readonly #known = new Map<string, ContainerUser>();

  /** @throws HearthError StartFailed when the image's USER is nobody */
  async of(image: LocalImage): Promise<ContainerUser> {
    const user = image.config.config?.User ?? '';
    const known = this.#known.get(image.ref.digest);
    if (known !== undefined) return known;
    const found = userOf(user, await readAccounts(user, image.layers));
    const [oldest] = this.#known.keys();
    const isFull = this.#known.size >= LIMITS.agentInstancesMax;
    if (isFull && oldest !== undefined) this.#known.delete(oldest);
    this.#known.set(image.ref.digest, found);
    return found;
  }
}

/** The image's /etc/passwd and /etc/group, each at most 1 MiB; not read when `user` needs neither. */
async function readAccounts(user: string, layers: readonly string[]): Promise<AccountFiles> {
  if (!needsAccounts(user)) return { passwd: undefined, group: undefined };
  const [passwd, group] = await Promise.all(
    ['passwd', 'group'].map((name) => readLayerFile(layers, ['etc', name], MIB)),
  );
  return { passwd, group };
}
