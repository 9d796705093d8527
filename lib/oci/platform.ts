import type { Descriptor, ImageIndex } from './types.ts';

/** Node's name of a processor → Go's, which images use. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

/** Architecture of this machine as images name it: `amd64`, `arm64`. */
export function imageArchitecture(arch: string = process.arch): string {
  return ARCHITECTURES[arch] ?? arch;
}

/** The index's entry for linux on `architecture`; undefined: there is none. */
export function pickPlatform(index: ImageIndex, architecture: string): Descriptor | undefined {
  const fits = index.manifests.filter(
    ({ platform }) => platform?.os === 'linux' && platform.architecture === architecture,
  );
  const plain = fits.find(({ platform }) => isBaseVariant(platform?.variant));
  return plain ?? fits[0];
}

function isBaseVariant(variant: string | undefined): boolean {
  return variant === undefined || variant === '' || variant === 'v8';
}

/** `linux/amd64, linux/arm64`: what an index offers, without attestations. */
export function platformsOf(index: ImageIndex): string {
  const names = index.manifests
    .map(({ platform }) => `${platform?.os ?? 'unknown'}/${platform?.architecture ?? 'unknown'}`)
    .filter((name) => name !== 'unknown/unknown');
  return [...new Set(names)].slice(0, 12).join(', ');
}
