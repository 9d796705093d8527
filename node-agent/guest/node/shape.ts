import type { IncomingMessage, ServerResponse } from 'node:http';

/** `(request, response)` as `http.createServer` takes it; Express and Koa apps come to this. */
export type NodeHandler = (request: IncomingMessage, response: ServerResponse) => unknown;
/** `(request, context)` → anything that can be an answer. */
export type WebHandler = (request: Request, context: object) => unknown;
/** AWS Lambda's `(event, context[, callback])`. */
export type LambdaHandler = (event: object, context: object, callback?: LambdaCallback) => unknown;
export type LambdaCallback = (error: unknown, result?: unknown) => void;

/** What a module is for the guest. */
export type Shape =
  | { kind: 'web'; handler: WebHandler; framework: boolean }
  | { kind: 'node'; handler: NodeHandler; prepare?: () => unknown }
  | { kind: 'lambda'; handler: LambdaHandler }
  /** Exports nothing at all: a program that may yet listen by itself. */
  | { kind: 'empty' }
  | { kind: 'invalid'; message: string };

type Fields = Record<string, unknown>;
type Callable = (...args: never[]) => unknown;

/**
 * Decides how to call what `module` (an import's namespace) exports. A CommonJS module is seen
 * through its default export, also when a compiler wrapped that in another default.
 */
export function shapeOf(module: object, file: string): Shape {
  const namespace = module as Fields;
  let main = namespace.default;
  if (isFields(main) && main.__esModule === true && 'default' in main) main = main.default;
  const named = (name: string): Callable | undefined => {
    const value =
      namespace[name] ?? (isFields(namespace.default) ? fieldOf(namespace, name) : undefined);
    return isCallable(value) ? value : undefined;
  };
  const node = named('node');
  if (node !== undefined) return { kind: 'node', handler: node as NodeHandler };
  const shape = shapeOfDefault(main);
  if (shape !== undefined) return shape;
  const lambda = named('handler');
  if (lambda !== undefined) return { kind: 'lambda', handler: lambda as LambdaHandler };
  const exported = describeExports(namespace);
  if (exported === '') return { kind: 'empty' };
  return {
    kind: 'invalid',
    message:
      `handler "${file}" exports nothing that can be called: it exports ${exported}; ` +
      'expected a default function (request, context), a default object with fetch, ' +
      'or a function named handler or node',
  };
}

function shapeOfDefault(main: unknown): Shape | undefined {
  if (isCallable(main)) {
    const app = main as unknown as Fields;
    // An Express (or Connect) app is a function (req, res, next) with these two methods.
    const isExpress = isCallable(app.handle) && (isCallable(app.listen) || isCallable(app.use));
    if (isExpress) return { kind: 'node', handler: main as unknown as NodeHandler };
    return { kind: 'web', handler: main as unknown as WebHandler, framework: false };
  }
  return isFields(main) ? shapeOfApp(main) : undefined;
}

function shapeOfApp(app: Fields): Shape | undefined {
  if (isCallable(app.fetch)) {
    const handler = app.fetch.bind(app as never) as WebHandler;
    return { kind: 'web', handler, framework: true };
  }
  // Koa: callback() makes the listener. Fastify: routing is one, once ready() has been awaited.
  if (isCallable(app.callback) && isCallable(app.use)) {
    return { kind: 'node', handler: (app.callback as () => NodeHandler)() };
  }
  if (isCallable(app.routing) && isCallable(app.ready)) {
    const ready = app.ready as () => unknown;
    const handler = app.routing as unknown as NodeHandler;
    return { kind: 'node', handler, prepare: () => ready.call(app) };
  }
  // An http.Server: its own request listeners.
  if (isCallable(app.emit) && isCallable(app.listen)) {
    const emit = app.emit as unknown as (...args: unknown[]) => unknown;
    return { kind: 'node', handler: (req, res) => emit.call(app, 'request', req, res) };
  }
  return undefined;
}

function fieldOf(namespace: Fields, name: string): unknown {
  return (namespace.default as Fields)[name];
}

function isCallable(value: unknown): value is Callable {
  return typeof value === 'function';
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null;
}

/** `"default" (number) and "foo" (function)`; empty for a module without exports. */
function describeExports(namespace: Fields): string {
  // `module.exports` is the name under which Node shows a CommonJS module's exports once more.
  const entries = Object.entries(namespace).filter(([name]) => name !== 'module.exports');
  const shown = entries
    .filter(([name, value]) => name !== 'default' || !isEmptyObject(value))
    .map(([name, value]) => `"${name}" (${typeName(value)})`);
  const head = shown.slice(0, 8);
  if (shown.length > head.length) head.push(`${shown.length - head.length} more`);
  return head.length < 2 ? head.join('') : `${head.slice(0, -1).join(', ')} and ${head.at(-1)}`;
}

function isEmptyObject(value: unknown): boolean {
  return isFields(value) && Object.keys(value).length === 0;
}

function typeName(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return typeof value;
}
