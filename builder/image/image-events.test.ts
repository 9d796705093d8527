import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NewDeployEvent } from '../../lib/deploy-events.ts';
import type { BaseImage } from '../execute/base.ts';
import { findImage, withPullEvents } from './image-events.ts';

const reference = 'hearth/node:24';
const { signal } = new AbortController();

function fakeImage(isHere: boolean): BaseImage {
  const image: Partial<BaseImage> = { isHere: async () => isHere, folders: async () => ['/layer'] };
  return image as BaseImage;
}

function recorder() {
  const types: string[] = [];
  const emit = (event: NewDeployEvent): void => {
    types.push('action' in event ? `${event.type} ${event.action}` : event.type);
  };
  return { types, emit };
}

test('findImage() tells that a build waits for an image that is made, and until when', async () => {
  const { types, emit } = recorder();
  const make = async (_name: string, onMake?: () => void): Promise<BaseImage> => {
    onMake?.();
    return fakeImage(false);
  };
  await findImage({ find: make }, reference, { emit, signal });
  assert.deepEqual(types, ['image make', 'image-done make']);
});

test('findImage() tells nothing of an image that is made', async () => {
  const { types, emit } = recorder();
  await findImage({ find: async () => fakeImage(true) }, reference, { emit, signal });
  assert.deepEqual(types, []);
});

test('withPullEvents() tells a pull and its time, and nothing of files that are here', async () => {
  for (const isHere of [false, true]) {
    const { types, emit } = recorder();
    let pulls = 0;
    const onPulled = (): void => void pulls++;
    const image = withPullEvents(fakeImage(isHere), { reference, emit, onPulled });
    assert.deepEqual(await image.folders(), ['/layer']);
    assert.deepEqual(types, isHere ? [] : ['image pull', 'image-done pull']);
    assert.equal(pulls, isHere ? 0 : 1);
  }
});
