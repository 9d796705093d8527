import { join } from 'node:path';
import type { ImageStore } from '../images/image-store-types.ts';

/** Images without a registry: `functions/busybox` and `functions/node` are the folders in `root`. */
export function rootImages(root: string): ImageStore {
  return {
    has: async () => true,
    async ensure(ref) {
      const name = ref.repository.split('/')[1] ?? '';
      const isNode = name === 'node';
      const Entrypoint = isNode
        ? ['/bin/node', '-e', 'eval(process.env.SCRIPT)']
        : ['/bin/sh', '-c', 'eval "$SCRIPT"'];
      const image = {
        ref,
        config: {
          architecture: 'amd64',
          os: 'linux',
          config: { Entrypoint, User: isNode ? 'app' : '65532:65532', Env: ['PATH=/bin'] },
          rootfs: { type: 'layers' as const, diff_ids: [] },
        },
        layers: [join(root, name)],
      };
      return { image, pulled: false, pullMs: 0 };
    },
  };
}
