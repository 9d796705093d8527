import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Digest, sha256 } from '../../lib/digest.ts';
import {
  type ManifestEntry,
  Repositories,
  tagOf,
  withManifest,
  withoutManifest,
} from './repositories.ts';

const digests = ['a', 'b', 'c'].map(sha256);
const entryOf = (digest: Digest): ManifestEntry => ({ mediaType: 'x', digest, size: 1 });

type Step = { put: Digest; tag: string | undefined } | { untag: string } | { remove: Digest };

const anyDigest = fc.constantFrom(...digests);
const anyTag = fc.constantFrom('one', 'two');
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ put: anyDigest, tag: fc.option(anyTag, { nil: undefined }) }),
  fc.record({ untag: anyTag }),
  fc.record({ remove: anyDigest }),
);

/** The plain meaning: a set of digests and a map of tags. */
function applyPlain(step: Step, plain: { digests: Set<Digest>; tags: Map<string, Digest> }): void {
  if ('put' in step) {
    plain.digests.add(step.put);
    if (step.tag !== undefined) plain.tags.set(step.tag, step.put);
  } else if ('untag' in step) {
    plain.tags.delete(step.untag);
  } else {
    plain.digests.delete(step.remove);
    for (const [tag, digest] of plain.tags) if (digest === step.remove) plain.tags.delete(tag);
  }
}

function apply(step: Step, entries: readonly ManifestEntry[]): ManifestEntry[] {
  if ('put' in step) return withManifest(entries, entryOf(step.put), step.tag);
  if ('untag' in step) return withoutManifest(entries, { tag: step.untag });
  return withoutManifest(entries, { digest: step.remove });
}

test('tags and digests of a repository behave as a map and a set', () => {
  fc.assert(
    fc.property(fc.array(anyStep, { maxLength: 12 }), (steps) => {
      const plain = { digests: new Set<Digest>(), tags: new Map<string, Digest>() };
      let entries: ManifestEntry[] = [];
      for (const step of steps) {
        applyPlain(step, plain);
        entries = apply(step, entries);
      }
      assert.deepEqual(new Set(entries.map(({ digest }) => digest)), plain.digests);
      const tagged = entries.filter((entry) => tagOf(entry) !== undefined);
      assert.deepEqual(new Map(tagged.map((entry) => [tagOf(entry), entry.digest])), plain.tags);
      assert.equal(tagged.length, plain.tags.size);
      assert.ok(entries.length <= plain.tags.size + plain.digests.size);
    }),
  );
});

test('changes at the same time are all kept, and outlive the process', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'hearth-repos-'));
  t.after(() => rm(dir, { recursive: true }));
  const repositories = new Repositories(dir);
  await repositories.init();
  const tags = Array.from({ length: 20 }, (_, n) => `t${n}`);
  await Promise.all(
    tags.map((tag) =>
      repositories.change('a/b', (entries) => withManifest(entries, entryOf(sha256(tag)), tag)),
    ),
  );
  const reopened = new Repositories(dir);
  await reopened.init();
  const entries = (await reopened.manifests('a/b')) ?? [];
  assert.deepEqual(new Set(entries.map(tagOf)), new Set(tags));
  assert.deepEqual(await reopened.names(), ['a/b']);
  assert.equal(await reopened.manifests('a'), undefined);
  assert.deepEqual(await readdir(join(dir, 'repositories')), ['a%2Fb']);
});
