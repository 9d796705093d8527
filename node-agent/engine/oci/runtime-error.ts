import { HearthError } from '../../../lib/errors.ts';
import type { StartFailure } from '../launcher/messages.ts';

const TEXT_LENGTH_MAX = 400;

/** What a runtime says of programs, in the words of runc, crun and the kernel. */
const NOT_FOUND = /executable file [^:]* ?not found|no such file or directory|not found in \$PATH/i;
const DENIED = /permission denied/i;
const FORMAT = /exec format error/i;

/**
 * Sentence, code and hint for a container that another runtime did not start. `log` is the text of
 * its log; its words are the runtime's own, without the host's paths.
 */
export function runtimeError(
  failure: StartFailure,
  said: { runtime: string; log: string; program: string },
): HearthError {
  const { program, runtime } = said;
  const text = withoutPaths(lastMessage(said.log), program);
  const details = { step: failure.step, errno: failure.errno, runtime };
  const aboutProgram = /\bexec\b|\bstat\b|starting container process/i.test(text);
  if (aboutProgram && FORMAT.test(text)) {
    const hint =
      'a script needs a first line such as #!/bin/sh; a binary must be built for this CPU';
    const message = `${program}: not a program this machine can execute`;
    return new HearthError('ExecFormat', message, { hint, details });
  }
  if (aboutProgram && NOT_FOUND.test(text)) {
    const where = program.includes('/') ? 'in image' : 'in PATH of the image';
    const hint = 'check CMD and ENTRYPOINT against the files that the image has';
    const message = `${program}: not found ${where}`;
    return new HearthError('EntrypointNotFound', message, { hint, details });
  }
  if (aboutProgram && DENIED.test(text)) {
    const hint = 'the file must be executable for the image’s USER: chmod +x';
    const message = `${program}: permission denied`;
    return new HearthError('EntrypointNotFound', message, { hint, details });
  }
  const reason = text === '' ? failure.message : text;
  return new HearthError('StartFailed', `cannot start: runtime "${runtime}": ${reason}`, {
    hint: 'the log of the node agent has all that the runtime said',
    details,
  });
}

/** The last error of JSON lines, or the last line as it is. */
function lastMessage(log: string): string {
  const lines = log.split('\n').filter((line) => line.trim() !== '');
  const messages = lines.flatMap((line) => {
    try {
      const { level, msg } = JSON.parse(line);
      return level === 'error' || level === 'fatal' ? [String(msg)] : [];
    } catch {
      return [line];
    }
  });
  return messages.at(-1) ?? '';
}

/** Paths tell of the host; the program's own stays. */
function withoutPaths(text: string, program: string): string {
  const plain = text.replace(/(?<![\w/])\/[^\s:"',;]+/g, (path) =>
    path === program || path.startsWith('/proc/self') ? path : '…',
  );
  return plain.replace(/\p{Cc}/gu, ' ').slice(0, TEXT_LENGTH_MAX);
}
