/** How the steps in the machine ended. */
export interface Verdict {
  ok: boolean;
  /** One line a step. */
  lines: string[];
}

/** Reads the exit codes that the machine has said on its serial line; a step without one failed. */
export function verdictOf(serial: string, steps: readonly string[]): Verdict {
  const codes = new Map<string, number>();
  for (const [, name = '', code] of serial.matchAll(/^hearth-v2 (\S+) (\d+)\r?$/gm)) {
    codes.set(name, Number(code));
  }
  const lines = steps.map((step) => `${step}: ${wordOf(codes.get(step))}`);
  return { ok: steps.every((step) => codes.get(step) === 0), lines };
}

function wordOf(code: number | undefined): string {
  if (code === undefined) return 'did not end';
  return code === 0 ? 'passed' : `failed with exit code ${code}`;
}
