import type { Registry } from '../../lib/oci/registry.ts';
import type { ImageConfig } from '../../lib/oci/types.ts';
import type { ImageRef } from '../../lib/records.ts';
import type { Layer } from '../layers/layer.ts';

/** An image that a build begins with or copies from: known, but pulled only when files are needed. */
export interface BaseImage {
  ref: ImageRef;
  /** Where it comes from, to push its layers on. */
  registry: Registry;
  config: ImageConfig;
  layers: Layer[];
  /** Whether `folders` has nothing to pull. */
  isHere(): Promise<boolean>;
  /** Unpacked layers, lowest first. */
  folders(): Promise<readonly string[]>;
}
