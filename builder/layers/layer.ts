import type { Digest } from '../../lib/digest.ts';
import { sha256 } from '../../lib/digest.ts';

/** A layer as its stored bytes: for ours, which are not packed, digest and diffId are the same. */
export interface Layer {
  mediaType: string;
  digest: Digest;
  diffId: Digest;
  sizeBytes: number;
}

/**
 * Identity of a root file system: its layers' diffIds in order (OCI image config, "Layer ChainID").
 * No layers: `scratch`.
 */
export function chainId(diffIds: readonly Digest[]): string {
  let chain: string | undefined;
  for (const diffId of diffIds) chain = chain === undefined ? diffId : sha256(`${chain} ${diffId}`);
  return chain ?? 'scratch';
}
