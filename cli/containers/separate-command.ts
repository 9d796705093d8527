import type { Command } from 'commander';

/** Commands whose last words are a program and its arguments, options of its own included. */
const WITH_PROGRAM: ReadonlySet<string> = new Set(['exec', 'run']);

/**
 * `exec -i web ls -la` as `exec -i web -- ls -la`: options behind the container's or image's name are the
 * program's, as docker has it. Everything else is left as it is.
 */
export function separateCommand(argv: readonly string[], program: Command): string[] {
  const at = argv.findIndex((word, n) => WITH_PROGRAM.has(word) && isCommand(argv, n, program));
  if (at === -1) return [...argv];
  const command = program.commands.find((one) => one.name() === argv[at]) ?? program;
  let n = at + 1;
  while (n < argv.length && (argv[n] ?? '').startsWith('-') && argv[n] !== '--') {
    n += takesNext(argv[n] ?? '', [command, program]) ? 2 : 1;
  }
  // n is the name, or where there is none
  if (n >= argv.length || argv[n] === '--' || argv[n + 1] === '--') return [...argv];
  return [...argv.slice(0, n + 1), '--', ...argv.slice(n + 1)];
}

/** The first word that is no option, or a word right behind `container`. */
function isCommand(argv: readonly string[], at: number, program: Command): boolean {
  for (let n = 0; n < at; n++) {
    const word = argv[n] ?? '';
    if (word.startsWith('-')) {
      if (takesNext(word, [program])) n++;
    } else if (word !== 'container') return false;
  }
  return true;
}

/** Whether the option `word` has its value in the next word. */
function takesNext(word: string, commands: readonly Command[]): boolean {
  if (word.includes('=')) return false;
  const isShort = !word.startsWith('--');
  // `-it` are two; the last of them may want a value
  const flag = isShort ? `-${word.at(-1)}` : word;
  return commands.some((command) =>
    command.options.some(
      (option) => option.required && (option.short === flag || option.long === flag),
    ),
  );
}
