import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256 } from '../digest.ts';
import { ManifestError, parseManifest } from './manifest.ts';
import { pickPlatform, platformsOf } from './platform.ts';
import { type ImageIndex, MEDIA_TYPES } from './types.ts';

const descriptor = { mediaType: MEDIA_TYPES.config, digest: sha256('x'), size: 1 };
const image = { schemaVersion: 2, mediaType: MEDIA_TYPES.manifest, config: descriptor, layers: [] };
const index = { schemaVersion: 2, mediaType: MEDIA_TYPES.index, manifests: [descriptor] };

function parse(value: unknown, contentType = ''): ReturnType<typeof parseManifest> {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return parseManifest(Buffer.from(text), contentType);
}

test('images and indexes are told apart by their media type', () => {
  assert.equal(parse(image).kind, 'image');
  assert.equal(parse(index, 'application/json').kind, 'index');
  const { mediaType: _, ...bare } = image;
  assert.equal(parse(bare, `${MEDIA_TYPES.dockerManifest}; charset=utf-8`).kind, 'image');
});

test('what two readers could read differently is refused', () => {
  const bad: [unknown, string?][] = [
    [{ ...image, manifests: [] }],
    [{ ...index, layers: [] }],
    [{ ...index, config: descriptor }],
    [image, MEDIA_TYPES.index],
    [{ ...image, schemaVersion: 1 }],
    [{ ...image, config: { ...descriptor, digest: 'sha256:x' } }],
    [{ ...image, layers: [{ ...descriptor, size: -1 }] }],
    [{ ...image, layers: Array(128).fill(descriptor) }],
    [{ ...image, layers: 'x' }],
    [{ ...image, subject: {} }],
    [{ schemaVersion: 2, config: descriptor, layers: [] }, 'text/plain'],
    ['not json'],
    ['[]'],
    ['null'],
  ];
  for (const [value, type] of bad) assert.throws(() => parse(value, type), ManifestError);
});

test('of an index the entry for the platform is picked, the plain variant first', () => {
  const entry = (architecture: string, variant?: string, os = 'linux') => ({
    ...descriptor,
    digest: sha256(`${os}${architecture}${variant}`),
    platform: { os, architecture, ...(variant === undefined ? {} : { variant }) },
  });
  const many: ImageIndex = {
    schemaVersion: 2,
    manifests: [
      entry('amd64', undefined, 'windows'),
      entry('amd64', 'v3'),
      entry('amd64'),
      entry('arm64', 'v8'),
      entry('unknown', undefined, 'unknown'),
    ],
  };
  assert.equal(pickPlatform(many, 'amd64'), many.manifests[2]);
  assert.equal(pickPlatform(many, 'arm64'), many.manifests[3]);
  assert.equal(pickPlatform(many, 's390x'), undefined);
  assert.equal(platformsOf(many), 'windows/amd64, linux/amd64, linux/arm64');
});
