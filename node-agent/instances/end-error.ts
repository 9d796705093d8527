import { HearthError } from '../../lib/errors.ts';
import type { ExitStatus } from '../engine/container-spec.ts';
import { exitText, type MemoryUse, memoryText } from './exit-text.ts';

/** What the end of a serving instance means to a request that was in it. */
export function endError(exit: ExitStatus, memory: MemoryUse): HearthError {
  if (exit.oomKilled) {
    return new HearthError('InstanceOOM', `instance ran out of memory (${memoryText(memory)})`, {
      hint: 'raise memory in function.yaml',
      details: { ...memory },
    });
  }
  return new HearthError('InstanceCrashed', `instance ${exitText(exit, memory)}`);
}
