import type { NewDeployEvent } from '../../lib/deploy-events.ts';
import { abortable } from '../execute/abortable.ts';
import type { BaseImage } from '../execute/base.ts';
import type { ImageSources } from './image-sources.ts';

export interface ImageEventsOptions {
  emit(event: NewDeployEvent): void;
  signal: AbortSignal;
}

/**
 * Finds an image for a build. The events tell if it waits until a built-in one is made; one that
 * was just made is unpacked as part of that, as every build needs its files.
 */
export async function findImage(
  images: Pick<ImageSources, 'find'>,
  reference: string,
  { emit, signal }: ImageEventsOptions,
): Promise<BaseImage> {
  let beganMs: number | undefined;
  const onMake = (): void => {
    beganMs = performance.now();
    emit({ type: 'image', reference, action: 'make' });
  };
  const image = await abortable(images.find(reference, onMake), signal);
  if (beganMs === undefined) return image;
  await abortable(image.folders(), signal);
  emit({ type: 'image-done', reference, action: 'make', durationMs: sinceMs(beganMs) });
  return image;
}

/** `image`, whose pull the events tell; `onPulled` learns its time, which is no step's own. */
export function withPullEvents(
  image: BaseImage,
  { reference, emit, onPulled }: PullEventsOptions,
): BaseImage {
  const folders = async (): Promise<readonly string[]> => {
    if (await image.isHere()) return image.folders();
    const beganMs = performance.now();
    emit({ type: 'image', reference, action: 'pull' });
    const found = await image.folders();
    const durationMs = sinceMs(beganMs);
    onPulled(durationMs);
    emit({ type: 'image-done', reference, action: 'pull', durationMs });
    return found;
  };
  return { ...image, folders };
}

export interface PullEventsOptions {
  reference: string;
  emit(event: NewDeployEvent): void;
  onPulled(durationMs: number): void;
}

function sinceMs(beganMs: number): number {
  return Math.round(performance.now() - beganMs);
}
