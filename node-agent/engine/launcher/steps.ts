import { childFailpoint } from '../failpoints.ts';
import type { Syscalls } from '../kernel/syscall-types.ts';

/** Hears the name of each step before it is done. */
export type Step = (name: string) => void;

/** Notes in `state` which step a forked child is at, for the word of its failure. */
export function stepper(sys: Syscalls, state: { step: string }): Step {
  return (name) => {
    state.step = name;
    childFailpoint(name, sys);
  };
}
