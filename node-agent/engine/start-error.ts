import { HearthError } from '../../lib/errors.ts';
import type { ExitStatus } from './container-spec.ts';
import type { StartFailure } from './launcher/messages.ts';
import { shortage } from './shortage.ts';
import { mountError } from './storage/mount-error.ts';

const UNSUPPORTED = ['ENOSYS', 'EOPNOTSUPP'];

/** Sentence, code and hint for a start that failed; `cwd` is the folder it was to begin in. */
export function startError(
  failure: StartFailure,
  argv: readonly string[],
  { cwd }: { cwd?: string | undefined } = {},
): HearthError {
  const details = { step: failure.step, errno: failure.errno };
  if (failure.step === 'execute') return executeError(failure, argv, details);
  const ofMount = mountError(failure);
  if (ofMount !== undefined) return ofMount;
  const lacks = shortage(failure.errno, { reason: failure.step, details });
  if (lacks !== undefined) return lacks;
  const folder = cwd === undefined ? undefined : folderError(failure, cwd);
  if (folder !== undefined) return folder;
  const message = `cannot start: ${failure.step}: ${failure.message}`;
  if (UNSUPPORTED.includes(failure.errno)) {
    const hint = '`hearth doctor` says what the engine needs of the kernel';
    return new HearthError('KernelUnsupported', message, { hint, details });
  }
  if (['ELOOP', 'ENOTDIR'].includes(failure.errno) && failure.step === 'mount over the root') {
    const hint = '/proc, /sys and /dev of the image must be folders, not links or files';
    return new HearthError('StartFailed', message, { hint, details });
  }
  return new HearthError('StartFailed', message, { details });
}

const FOLDER_FAULTS: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist in the container',
  ENOTDIR: 'is not a folder',
  EACCES: 'may not be entered by the container’s user',
};

function folderError({ step, errno }: StartFailure, cwd: string): HearthError | undefined {
  const fault = FOLDER_FAULTS[errno];
  if (step !== 'enter working folder' || fault === undefined) return undefined;
  return new HearthError('StartFailed', `working folder "${cwd}" ${fault}`, {
    hint: 'check WORKDIR, or the working folder that was asked for',
    details: { step, errno },
  });
}

type Details = Record<string, unknown>;

function executeError(
  failure: StartFailure,
  argv: readonly string[],
  details: Details,
): HearthError {
  const program = argv[0] ?? '';
  const { errno, found, shebang } = failure;
  if (errno === 'ENOEXEC') {
    const message = `${program}: not a program this machine can execute`;
    const hint =
      'a script needs a first line such as #!/bin/sh; a binary must be built for this CPU';
    return new HearthError('ExecFormat', message, { hint, details });
  }
  if (found === true && errno === 'ENOENT') return interpreterError(program, shebang, details);
  if (errno === 'EACCES') {
    const message = `${program}: permission denied`;
    const hint = 'the file must be executable for the image’s USER: chmod +x';
    return new HearthError(found === true ? 'EntrypointNotFound' : 'StartFailed', message, {
      hint,
      details,
    });
  }
  if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(errno)) {
    const where = program.includes('/') ? 'in image' : 'in PATH of the image';
    const hint = 'check CMD and ENTRYPOINT against the files that the image has';
    return new HearthError('EntrypointNotFound', `${program}: not found ${where}`, {
      hint,
      details,
    });
  }
  return new HearthError('StartFailed', `${program}: cannot be executed: ${errno}`, { details });
}

/** The file is there, what it asks to be run by is not. */
function interpreterError(
  program: string,
  shebang: string | undefined,
  details: Details,
): HearthError {
  if (shebang === undefined) {
    const message = `${program}: its dynamic loader is not in the image`;
    const hint = 'link it statically, or use a base image with the C library it was built for';
    return new HearthError('EntrypointNotFound', message, { hint, details });
  }
  const interpreter = shebang.slice(2).trim();
  const message = `${program}: its interpreter ${interpreter} is not in the image`;
  const hint = shebang.endsWith('\r')
    ? 'the script has Windows line ends (CRLF); save it with LF'
    : 'use a base image that has it';
  return new HearthError('EntrypointNotFound', message, { hint, details });
}

/** A raw wait status (wait(2)) in the words of ExitStatus. */
export function exitStatus(status: number | undefined, oomKills: number): ExitStatus {
  if (status === undefined) return { oomKilled: oomKills > 0 };
  const signal = status & 0x7f;
  if (signal !== 0) return { signal, oomKilled: oomKills > 0 };
  const code = (status >> 8) & 0xff;
  return { code, oomKilled: oomKills > 0 && code !== 0 };
}
