/** What a guest said on its status pipe. */
export type GuestStatus = { ready: true; importMs?: number } | { ready: false; error: GuestError };

export interface GuestError {
  name: string;
  message: string;
  stack?: string;
}

const TEXT_LENGTH_MAX = 2_000;
const STACK_LENGTH_MAX = 16_000;

/**
 * The guest's first line, `{"ready":true,"importMs":12.3}` or `{"ready":false,"error":{…}}`;
 * undefined when it is neither. The line comes from inside the container: nothing in it is trusted.
 */
export function parseStatusLine(line: string): GuestStatus | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (!isObject(parsed)) return undefined;
  if (parsed.ready === true) {
    const { importMs } = parsed;
    const isDuration = typeof importMs === 'number' && importMs >= 0 && importMs < 1e9;
    return isDuration ? { ready: true, importMs } : { ready: true };
  }
  if (parsed.ready !== false || !isObject(parsed.error)) return undefined;
  const { name, message, stack } = parsed.error;
  return {
    ready: false,
    error: {
      name: textOf(name, TEXT_LENGTH_MAX) ?? 'Error',
      message: textOf(message, TEXT_LENGTH_MAX) ?? '',
      ...(typeof stack === 'string' ? { stack: stack.slice(0, STACK_LENGTH_MAX) } : {}),
    },
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function textOf(value: unknown, lengthMax: number): string | undefined {
  return typeof value === 'string' && value !== '' ? value.slice(0, lengthMax) : undefined;
}
