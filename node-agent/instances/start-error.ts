import { HearthError } from '../../lib/errors.ts';
import type { GuestContract } from '../../lib/spec/spec.ts';
import type { ExitStatus } from '../engine/container-spec.ts';
import { exitText, type MemoryUse } from './exit-text.ts';
import { missingPackageHint } from './missing-package.ts';
import { type Listener, readinessHint } from './readiness-hint.ts';
import type { GuestError } from './status-line.ts';

/** Why a started container did not become ready. */
export type StartFault =
  | { kind: 'exited'; exit: ExitStatus; afterMs: number; memory: MemoryUse }
  | { kind: 'guest-error'; error: GuestError }
  | { kind: 'bad-status'; line: string }
  | { kind: 'silent'; listeners: readonly Listener[] };

/** Whose start it was. */
export interface StartSubject {
  functionName: string;
  contract: GuestContract;
  port: number;
  startTimeoutMs: number;
}

/** The error of a start that failed; `logTail` are the instance's last lines. */
export function startError(
  fault: StartFault,
  subject: StartSubject,
  logTail: readonly string[],
): HearthError {
  const details = { logTail: [...logTail] };
  switch (fault.kind) {
    case 'exited':
      return exitedError(fault, subject, details);
    case 'guest-error':
      return guestError(fault.error, subject, details);
    case 'bad-status':
      return new HearthError(
        'StartFailed',
        `guest of "${subject.functionName}" said ${JSON.stringify(fault.line.slice(0, 200))} ` +
          'instead of its status',
        { details },
      );
    case 'silent':
      return silentError(fault.listeners, subject, details);
  }
}

function exitedError(
  fault: Extract<StartFault, { kind: 'exited' }>,
  subject: StartSubject,
  details: Record<string, unknown>,
): HearthError {
  const who = `instance of "${subject.functionName}"`;
  const what = exitText(fault.exit, fault.memory);
  const after = `after ${(fault.afterMs / 1000).toFixed(1)} s`;
  if (fault.exit.oomKilled) {
    return new HearthError('InstanceOOM', `${who} ${what} while it started`, {
      status: 422,
      hint: 'raise memory in function.yaml',
      details: { ...details, ...fault.memory },
    });
  }
  return new HearthError('StartFailed', `${who} ${what} ${after}`, {
    ...(fault.exit.code === 0
      ? { hint: 'the command must keep running and serve HTTP; it ended by itself' }
      : {}),
    details,
  });
}

function guestError(
  error: GuestError,
  subject: StartSubject,
  details: Record<string, unknown>,
): HearthError {
  if (error.name === 'HandlerInvalid') {
    return new HearthError('HandlerInvalid', error.message, { details });
  }
  const hint = missingPackageHint(error.message);
  return new HearthError(
    'StartFailed',
    `handler of "${subject.functionName}" did not load: ${error.name}: ${error.message}`,
    { details, ...(hint === undefined ? {} : { hint }) },
  );
}

function silentError(
  listeners: readonly Listener[],
  subject: StartSubject,
  details: Record<string, unknown>,
): HearthError {
  const within = `within ${subject.startTimeoutMs / 1000} s`;
  if (subject.contract === 'socket') {
    return new HearthError(
      'NotListening',
      `handler of "${subject.functionName}" was not loaded ${within}`,
      { hint: 'its top level waits or works too long; raise startTimeout if it must', details },
    );
  }
  return new HearthError('NotListening', `nothing listened on 0.0.0.0:${subject.port} ${within}`, {
    hint: readinessHint(listeners, subject.port),
    details: { ...details, listeners: [...listeners] },
  });
}
