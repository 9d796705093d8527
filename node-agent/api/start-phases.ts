import type { StartPhases } from '../../lib/records.ts';

const PHASES = [
  'queueMs',
  'pullMs',
  'mountMs',
  'spawnMs',
  'readyMs',
  'importMs',
  'totalMs',
] as const satisfies readonly (keyof StartPhases)[];

/** The phases of a start that happened, as metrics name them: `pullMs` is `pull`, in seconds. */
export function phaseSeconds(phases: StartPhases): { phase: string; seconds: number }[] {
  return PHASES.flatMap((key) => {
    const ms = phases[key];
    return ms === undefined ? [] : [{ phase: key.slice(0, -2), seconds: ms / 1000 }];
  });
}
