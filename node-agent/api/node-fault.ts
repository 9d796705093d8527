import type { ErrorCode, HearthError } from '../../lib/errors.ts';

/** Faults of a node, not of the function: another node may well succeed. */
const NODE_FAULTS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'NodeFull',
  'NodeUnavailable',
  'ShuttingDown',
  'StorageFull',
  'RegistryUnavailable',
  'KernelUnsupported',
  'Internal',
]);

/** Whether what an agent answered to a start is worth a try on another node. */
export function isNodeFault({ code }: HearthError): boolean {
  return NODE_FAULTS.has(code);
}
