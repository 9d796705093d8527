import type { FunctionSpec } from '../../lib/spec/spec.ts';

type Runtime = FunctionSpec['runtime'];

const NODE = /^(package\.json|(index|handler|function|main|app|server)\.(m?js|cjs|mts|ts))$/;
const PYTHON = /^(requirements\.txt|pyproject\.toml|.+\.py)$/;

/**
 * What a folder is, by the names in it: its own Dockerfile goes before all, then Node, then Python.
 * Undefined when it is none of them.
 */
export function detectRuntime(names: readonly string[], dockerfile: string): Runtime | undefined {
  if (names.includes(dockerfile)) return 'dockerfile';
  if (names.some((name) => NODE.test(name))) return 'node';
  return names.some((name) => PYTHON.test(name)) ? 'python' : undefined;
}
