import { type ErrorCode, HearthError } from '../../lib/errors.ts';
import type { ExitStatus } from '../../node-agent/engine/container-spec.ts';
import type { PlannedStep } from '../dockerfile/plan-types.ts';

/** What went wrong in a step that does not run a program: at its place in the Dockerfile. */
export function stepFault(
  step: PlannedStep,
  message: string,
  options: { code?: ErrorCode; hint?: string; cause?: unknown } = {},
): HearthError {
  const { file, location, text } = step;
  return new HearthError(
    options.code ?? 'DockerfileInvalid',
    `${file}:${location.line}:${location.column}: ${message}`,
    {
      ...(options.hint === undefined ? {} : { hint: options.hint }),
      ...(options.cause === undefined ? {} : { cause: options.cause }),
      details: { file, ...location, source: text },
    },
  );
}

export interface FailedRun {
  step: PlannedStep;
  steps: number;
  /** The last lines that the program wrote. */
  logTail: readonly string[];
}

/** `step 4/6 `RUN npm ci` exited 1`, with the last lines of its output. */
export function runFailed(
  { step, steps, logTail }: FailedRun,
  what: string,
  options: { hint?: string; code?: ErrorCode } = {},
): HearthError {
  return new HearthError(
    options.code ?? 'BuildStepFailed',
    `step ${step.step}/${steps} \`${step.text}\` ${what}`,
    {
      ...(options.hint === undefined ? {} : { hint: options.hint }),
      details: { step: step.step, steps, file: step.file, ...step.location, logTail },
    },
  );
}

/** How a program ended, in words; undefined: well. */
export function badEnd(
  status: ExitStatus,
  memoryBytes: number,
): { what: string; hint?: string } | undefined {
  if (status.oomKilled) {
    return {
      what: `ran out of memory (limit ${Math.floor(memoryBytes / 1024 / 1024)} MiB)`,
      hint: 'make the step need less, or build on a larger machine',
    };
  }
  if (status.signal !== undefined) return { what: `was ended by signal ${status.signal}` };
  if (status.code === 127) return { what: 'exited 127', hint: 'a command was not found' };
  return status.code === 0 ? undefined : { what: `exited ${status.code ?? 'without a status'}` };
}
