import type { ImageConfig } from '../../lib/oci/types.ts';
import type { ImageRef } from '../../lib/records.ts';

/** An image on this node, ready to be mounted. */
export interface LocalImage {
  ref: ImageRef;
  config: ImageConfig;
  /** Unpacked layers, lowest first: absolute folders, one a diffId, shared and never written. */
  layers: string[];
}

/** Images pulled by digest; each layer is unpacked once per diffId and shared by all containers. */
export interface ImageStore {
  /** Whether `ensure` would find all of it here. */
  has(ref: ImageRef): Promise<boolean>;
  /** Pulls what is missing. Concurrent calls for the same digest share one pull. */
  ensure(ref: ImageRef): Promise<{ image: LocalImage; pulled: boolean; pullMs: number }>;
}
