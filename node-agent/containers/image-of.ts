import { HearthError } from '../../lib/errors.ts';
import type { Registry } from '../../lib/oci/registry.ts';
import type { ImageRef } from '../../lib/records.ts';
import type { ParsedRun } from '../api/parse-run-request.ts';
import type { ImageStore, LocalImage } from '../images/image-store-types.ts';

/** Where images come from. */
export interface ImageParts {
  images: ImageStore;
  /** What knows the tags; absent: images are known by digest only. */
  registry: Pick<Registry, 'getManifest'> | undefined;
}

/**
 * The image of a run, on this node: its tag is read once, what runs is a digest.
 * @throws HearthError NotFound when there is no such image, and what pulling throws
 */
export async function imageOf(
  parts: ImageParts,
  run: Pick<ParsedRun, 'image' | 'imageText'>,
): Promise<LocalImage> {
  try {
    const { image } = await parts.images.ensure(await refOf(parts, run));
    return image;
  } catch (error) {
    if (!(error instanceof HearthError) || error.code !== 'BaseImageNotFound') throw error;
    throw new HearthError('NotFound', `no image "${run.imageText}": ${error.message}`, {
      hint: 'images of functions are functions/NAME; other ones are pushed to the platform’s registry',
      cause: error,
    });
  }
}

async function refOf(
  { registry }: ImageParts,
  { image, imageText }: Pick<ParsedRun, 'image' | 'imageText'>,
): Promise<ImageRef> {
  const { repository, digest } = image;
  if (digest !== undefined) return { repository, digest };
  if (registry === undefined) {
    throw new HearthError(
      'RegistryUnavailable',
      `cannot look up image "${imageText}": this node agent has no registry`,
      { hint: 'name the image by its digest, NAME@sha256:…' },
    );
  }
  const tag = 'tag' in image ? (image.tag ?? 'latest') : 'latest';
  return { repository, digest: (await registry.getManifest(repository, tag)).digest };
}
