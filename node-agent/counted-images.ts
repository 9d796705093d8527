import { toHearthError } from '../lib/errors.ts';
import type { AgentMetrics } from './agent-metrics.ts';
import type { ImageStore } from './images/image-store-types.ts';

/** `images` whose pulls are counted. */
export function countedImages(images: ImageStore, metrics: AgentMetrics): ImageStore {
  return {
    has: (ref) => images.has(ref),
    async ensure(ref) {
      try {
        const answer = await images.ensure(ref);
        metrics.pulls.inc({ outcome: answer.pulled ? 'pulled' : 'present' });
        return answer;
      } catch (error) {
        metrics.pulls.inc({ outcome: toHearthError(error).code });
        throw error;
      }
    },
  };
}
