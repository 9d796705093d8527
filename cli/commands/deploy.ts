import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { HearthError } from '../../lib/errors.ts';
import { cleanText } from '../clean-text.ts';
import { connect } from '../connection.ts';
import { folderDockerfile } from '../deploy/context.ts';
import { type DeployResult, deployFolder, readFolder } from '../deploy/deploy.ts';
import { excerpt } from '../deploy/excerpt.ts';
import { type SpecFlags, specOfFlags } from '../deploy/flags.ts';
import { ProgressView } from '../deploy/progress-view.ts';
import { abortOnInterrupt } from '../interrupts.ts';
import type { Context } from '../options.ts';

export interface DeployFlags extends SpecFlags {
  force?: boolean;
  strict?: boolean;
  wait?: boolean;
  printDockerfile?: boolean;
}

/** `hearth deploy DIR`. Resolves with the exit code. */
export async function deploy(
  context: Context,
  folder: string,
  flags: DeployFlags,
): Promise<number> {
  if (flags.printDockerfile === true) return printDockerfile(context, folder, flags);
  const view = new ProgressView(context.terminal);
  const { signal, forget } = abortOnInterrupt();
  try {
    const result = await deployFolder(connect(context), {
      folder,
      flags: specOfFlags(flags),
      force: flags.force === true,
      strict: flags.strict === true,
      wait: flags.wait !== false,
      signal,
      onEvent: (event) => view.show(event),
      onUpload: (title) => view.note(title),
    });
    view.close();
    context.terminal.out(context.json ? `${JSON.stringify(result)}\n` : tell(result));
    return 0;
  } catch (error) {
    view.close();
    throw withExcerpt(folder, error);
  } finally {
    forget();
  }
}

/** What would be built, without a server: the folder's own Dockerfile or the generated one. */
function printDockerfile(context: Context, folder: string, flags: DeployFlags): number {
  const { root, spec } = readFolder(folder, specOfFlags(flags));
  const text =
    spec.runtime === 'dockerfile'
      ? readFileSync(join(root, spec.dockerfile), 'utf8')
      : folderDockerfile(root, spec).text;
  context.terminal.out(text);
  return 0;
}

function tell(result: DeployResult): string {
  if (result.state === 'queued') {
    return `${result.name} is being built: ${result.buildId}\n`;
  }
  const how = result.unchanged ? ` (unchanged, ${result.revisionId})` : '';
  return `${cleanText(result.url)}${how}\n`;
}

/** The error with the lines of the user's own file that it points at. */
function withExcerpt(folder: string, error: unknown): unknown {
  const match = error instanceof HearthError ? LOCATION.exec(error.message) : null;
  const [, file = '', line = '', column] = match ?? [];
  if (!(error instanceof HearthError) || file === '' || file.includes('..')) return error;
  try {
    const text = readFileSync(join(resolve(folder), file), 'utf8');
    const lines = excerpt(text, Number(line), column === undefined ? undefined : Number(column));
    return new HearthError(error.code, error.message, {
      ...(error.hint === undefined ? {} : { hint: error.hint }),
      details: { ...error.details, excerpt: lines },
      cause: error.cause,
    });
  } catch {
    return error;
  }
}

/** `Dockerfile:3:1: …` or `Dockerfile:3: …`, and no second problem after it. */
const LOCATION = /^([\w./-]{1,200}):(\d{1,6})(?::(\d{1,6}))?: [^\n]*$/;
