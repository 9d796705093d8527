import { createInterface } from 'node:readline/promises';

/**
 * Asks on the terminal, `question` then `[y/N]`. A script cannot answer: without a terminal the command alone
 * is enough.
 */
export async function confirm(question: string): Promise<boolean> {
  if (process.stdin.isTTY !== true || process.stderr.isTTY !== true) return true;
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await prompt.question(`${question} [y/N] `);
    return /^y(es)?$/i.test(answer.trim());
  } catch {
    // Ctrl-C or Ctrl-D at the question.
    return false;
  } finally {
    prompt.close();
  }
}
