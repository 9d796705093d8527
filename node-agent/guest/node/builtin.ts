/**
 * Node's `http`, got without an import statement: an import reads every name that the module
 * exports, and one of them (`WebSocket`) loads undici, which is a third of the time to start.
 */
export const http: typeof import('node:http') = process.getBuiltinModule('node:http');
